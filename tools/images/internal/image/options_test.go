package image

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestWrongOptionsAreRefusedWithWhatTheyShouldBe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no version":               {nil, "-version is not set; it should be such as 0.1.0"},
		"an unknown processor":     {[]string{"-version", "1", "-arch", "riscv64"}, `-arch has "riscv64"; it should be amd64, arm64 or both`},
		"an unknown image":         {[]string{"-version", "1", "-images", "user,usr"}, `there is no image "usr"; there are user, note, gateway, operator`},
		"a tag that can not be":    {[]string{"-version", "1", "-tag", "a:b"}, "can not be an image's name"},
		"a tag with a registry":    {[]string{"-version", "1", "-tag", "x/y"}, "can not be an image's name"},
		"a push to nowhere named":  {[]string{"-version", "1", "-push", "team"}, "registry"},
		"a version with a space":   {[]string{"-version", "1 -X a=b", "-tag", "1"}, "-version"},
		"an argument too many":     {[]string{"-version", "1", "user"}, `unknown argument "user"`},
		"a limit that is a letter": {[]string{"-version", "1", "-limit", "x"}, "-limit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := parse(c.args, io.Discard); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestWhatIsNotSaidFollowsFromTheRest(t *testing.T) {
	t.Parallel()
	local, err := parse([]string{"-version", "1.0.0"}, io.Discard)
	if err != nil || !slices.Equal(local.Tags, []string{"1.0.0"}) || len(local.Archs) != 1 || len(local.Recipes) != 4 {
		t.Errorf("%+v, error %v", local, err)
	}
	pushed, err := parse([]string{"-version", "1.0.0", "-tag", "", "-images", "gateway user", "-push", "registry.example.test/team/"}, io.Discard)
	if err != nil || !slices.Equal(pushed.Archs, []string{"amd64", "arm64"}) || pushed.Recipes[0].Name != "user" || len(pushed.Recipes) != 2 {
		t.Errorf("%+v, error %v", pushed, err)
	}
	if ref, err := pushed.ref("user", "1.0.0"); err != nil || ref.String() != "registry.example.test/team/noteworks/user:1.0.0" {
		t.Errorf("%s, error %v", ref, err)
	}
}
