package httpserver_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gin-gonic/gin"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/problem"
)

// draft has a field of each sort that our requests have.
type draft struct {
	Title  string            `json:"title"`
	Body   *string           `json:"body,omitempty"`
	Tags   []string          `json:"tags"`
	Pages  int32             `json:"pages"`
	Weight float64           `json:"weight"`
	Pinned bool              `json:"pinned"`
	Due    *time.Time        `json:"due"`
	Author struct{ ID uint } `json:"author"`
	Extra  map[string]any    `json:"extra"`
}

func TestDecodeJSONTakesWhatIsRight(t *testing.T) {
	t.Parallel()
	var got draft
	err := httpserver.DecodeJSON(strings.NewReader(`{"title":"a\u00e9\ud83d\ude00","body":"","tags":["x","y"],"pages":-3,"weight":1e3,
		"pinned":true,"due":"2026-03-01T12:00:00Z","author":{"ID":7},"extra":{"a":[{"b":1}]}}`+"\n "), &got)
	if err != nil {
		t.Fatal(err)
	}
	if got.Title != "aé😀" || got.Body == nil || *got.Body != "" || len(got.Tags) != 2 || got.Pages != -3 || got.Weight != 1000 || got.Due == nil || got.Author.ID != 7 {
		t.Errorf("got %+v", got)
	}
}

func TestDecodeJSONRefusesEverythingElse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body, code, field string
	}{
		{"empty", "", "invalid-json", ""},
		{"blank", " \n", "invalid-json", ""},
		{"no JSON", "title=x", "invalid-json", ""},
		{"cut off", `{"title":"x"`, "invalid-json", ""},
		{"a comma too many", `{"title":"x",}`, "invalid-json", ""},
		{"a comment", `{"title":"x"} // hi`, "invalid-json", ""},
		{"two values", `{} {}`, "invalid-json", ""},
		{"something after it", `{}x`, "invalid-json", ""},
		{"a byte order mark", "\xef\xbb\xbf{}", "invalid-json", ""},
		{"UTF-16", "{\x00\"\x00}\x00", "invalid-json", ""},
		{"a list", `[]`, "invalid-json", ""},
		{"a text", `"x"`, "invalid-json", ""},
		{"null", `null`, "invalid-json", ""},
		{"NaN", `{"weight":NaN}`, "invalid-json", ""},
		{"Infinity", `{"weight":-Infinity}`, "invalid-json", ""},
		{"a leading zero", `{"pages":01}`, "invalid-json", ""},
		{"a leading plus", `{"pages":+1}`, "invalid-json", ""},
		{"a hexadecimal", `{"pages":0x1}`, "invalid-json", ""},
		{"single quotes", `{'title':'x'}`, "invalid-json", ""},
		{"a raw newline in a text", "{\"title\":\"a\nb\"}", "invalid-json", ""},
		{"invalid UTF-8", "{\"title\":\"\xff\"}", "invalid-json", ""},
		{"invalid UTF-8 in a name", "{\"t\xc3\":1}", "invalid-json", ""},
		{"overlong UTF-8", "{\"title\":\"\xc0\xaf\"}", "invalid-json", ""},
		{"a lone surrogate", `{"title":"\ud800"}`, "invalid-json", ""},
		{"surrogates in reverse", `{"title":"\ude00\ud83d"}`, "invalid-json", ""},
		{"a surrogate in UTF-8", "{\"title\":\"\xed\xa0\x80\"}", "invalid-json", ""},
		{"NUL in a text", `{"title":"a\u0000b"}`, "invalid-json", "title"},
		{"NUL in a name", `{"a\u0000b":1}`, "invalid-json", "a\x00b"},
		{"NUL deep inside", `{"extra":{"a":[1,{"b":"\u0000"}]}}`, "invalid-json", "extra.a[1].b"},
		{"null in a field", `{"title":null}`, "invalid-json", "title"},
		{"null for what may be missing", `{"body":null}`, "invalid-json", "body"},
		{"null in a list", `{"tags":["x",null]}`, "invalid-json", "tags[1]"},
		{"null deep inside", `{"extra":{"a":null}}`, "invalid-json", "extra.a"},
		{"an unknown field", `{"admin":true}`, "unknown-field", "admin"},
		{"an unknown field inside", `{"author":{"ID":1,"role":"owner"}}`, "unknown-field", "author.role"},
		{"a name in another case", `{"Title":"x"}`, "unknown-field", "Title"},
		{"an empty name", `{"":1}`, "unknown-field", ""},
		{"a duplicate", `{"title":"a","title":"b"}`, "invalid-json", "title"},
		{"a duplicate, escaped", `{"title":"a","t\u0069tle":"b"}`, "invalid-json", "title"},
		{"a duplicate inside", `{"extra":{"x":{"a":1,"a":2}}}`, "invalid-json", "extra.x.a"},
		{"a number for a text", `{"title":1}`, "invalid-json", "title"},
		{"a text for a number", `{"pages":"1"}`, "invalid-json", "pages"},
		{"a fraction for a whole number", `{"pages":1.5}`, "invalid-json", "pages"},
		{"an exponent for a whole number", `{"pages":1e2}`, "invalid-json", "pages"},
		{"a number out of range", `{"pages":2147483648}`, "invalid-json", "pages"},
		{"a huge number", `{"weight":1e400}`, "invalid-json", "weight"},
		{"a huge number in anything", `{"extra":{"a":-1e999}}`, "invalid-json", "extra.a"},
		{"a negative for an id", `{"author":{"ID":-1}}`, "invalid-json", "author.ID"},
		{"1 for true", `{"pinned":1}`, "invalid-json", "pinned"},
		{"a text for a list", `{"tags":"x"}`, "invalid-json", "tags"},
		{"a list in a list", `{"tags":["x",["y"]]}`, "invalid-json", "tags[1]"},
		{"a list for an object", `{"author":[]}`, "invalid-json", "author"},
		{"no time", `{"due":"tomorrow"}`, "invalid-json", "due"},
		{"33 levels", `{"extra":` + strings.Repeat(`{"a":`, 32) + "1" + strings.Repeat("}", 33), "invalid-json", ""},
		{"10,000 levels", `{"extra":` + strings.Repeat("[", 10_000), "invalid-json", ""},
		{"100,000 levels", strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000), "invalid-json", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var into draft
			err := httpserver.DecodeJSON(strings.NewReader(tt.body), &into)
			e := errs.As(err)
			if e.Kind != errs.KindInvalid || e.Code != tt.code || e.Field != tt.field {
				t.Errorf("got %v %q, field %q, want %q, field %q (%v)", e.Kind, e.Code, e.Field, tt.code, tt.field, err)
			}
			for _, leak := range []string{"draft", "Go ", "string", "int32", "float64", "jsontext", "httpserver"} {
				if strings.Contains(e.Detail, leak) {
					t.Errorf("%q names what is ours", e.Detail)
				}
			}
		})
	}
}

func TestThirtyTwoLevelsAreFine(t *testing.T) {
	t.Parallel()
	var into draft
	body := `{"extra":` + strings.Repeat(`{"a":`, 31) + "1" + strings.Repeat("}", 32)
	if err := httpserver.DecodeJSON(strings.NewReader(body), &into); err != nil {
		t.Error(err)
	}
}

func TestAVeryLongNameIsCutOffInTheAnswer(t *testing.T) {
	t.Parallel()
	var into draft
	err := httpserver.DecodeJSON(strings.NewReader(`{"`+strings.Repeat("é", 100_000)+`":1}`), &into)
	if e := errs.As(err); e.Code != "unknown-field" || len(e.Field) > 210 {
		t.Errorf("got %q, %d bytes of field", e.Code, len(e.Field))
	}
}

func TestABodyOverTheLimitIsTooLarge(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1024, 1025} {
		body := `{"title":"` + strings.Repeat("x", size-len(`{"title":""}`)) + `"}`
		var into draft
		err := httpserver.DecodeJSON(http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(strings.NewReader(body)), 1024), &into)
		if size == 1024 && err != nil {
			t.Errorf("exactly the limit: %v", err)
		}
		if size > 1024 && (errs.KindOf(err) != errs.KindTooLarge || errs.CodeOf(err) != "body-too-large") {
			t.Errorf("one byte over it: %v", err)
		}
	}
}

func TestABodyWithoutEndIsTooLargeEvenUnguarded(t *testing.T) {
	t.Parallel()
	endless := io.MultiReader(strings.NewReader(`{"title":"`), neverEnding('x'))
	var into draft
	if err := httpserver.DecodeJSON(endless, &into); errs.CodeOf(err) != "body-too-large" {
		t.Errorf("got %v", err)
	}
}

type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

func TestABodyThatBreaksOffIsInvalid(t *testing.T) {
	t.Parallel()
	var into draft
	err := httpserver.DecodeJSON(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(`{"title":"x"}`))), &into)
	if errs.CodeOf(err) != "invalid-json" || !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("got %v", err)
	}
}

func TestGinBindsStrictlyToo(t *testing.T) {
	t.Parallel()
	httpserver.InstallGinCodec()
	httpserver.InstallGinCodec()
	engine := gin.New()
	engine.POST("/notes", func(c *gin.Context) {
		var body draft
		if err := c.ShouldBindJSON(&body); err != nil {
			problem.Write(c.Writer, c.Request, httpserver.BindError(err))
			return
		}
		c.JSON(http.StatusCreated, gin.H{"title": body.Title, "nothing": nil})
	})
	for body, want := range map[string]string{
		`{"title":"a<b"}`:         `201 {"nothing":null,"title":"a\u003cb"}`,
		`{"title":"x","role":""}`: `unknown-field`,
		`{"title":null}`:          `invalid-json`,
		`{"title":"x"}{}`:         `invalid-json`,
	} {
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/notes", strings.NewReader(body)))
		if got := http.StatusText(w.Code); !strings.Contains(w.Body.String(), strings.TrimPrefix(want, "201 ")) || strings.HasPrefix(want, "201") != (w.Code == http.StatusCreated) {
			t.Errorf("%s: %s %s", body, got, w.Body)
		}
	}
}

func BenchmarkDecodeJSON(b *testing.B) {
	body := `{"title":"x","body":"` + strings.Repeat("lorem ipsum ", 200) + `","tags":["a","b"]}`
	for b.Loop() {
		var into draft
		if err := httpserver.DecodeJSON(strings.NewReader(body), &into); err != nil {
			b.Fatal(err)
		}
	}
}
