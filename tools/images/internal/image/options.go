package image

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// megabyte is the decimal one, as registries count.
const megabyte = 1_000_000

// Options say what is made and where it goes.
type Options struct {
	Root    string   // the repository
	Out     string   // where archives and programs are written, below Root unless absolute
	Version string   // goes into the programs and the labels
	Tags    []string // each image gets all of them; Version unless given
	Source  string   // the label org.opencontainers.image.source
	Push    string   // a registry with or without a path; empty writes archives
	// Archs are of amd64 and arm64. A push has both unless told otherwise, an archive the one of this machine.
	Archs []string
	// Names choose images; none are all of them.
	Names []string
	// Limit is what an image may have compressed, in bytes.
	Limit int64
	// Recipes are the images there are.
	Recipes []Recipe
}

func parse(args []string, usage io.Writer) (Options, error) {
	o := Options{Recipes: Recipes()}
	var archs, names, tags string
	var limit int64
	f := flag.NewFlagSet("images", flag.ContinueOnError)
	f.SetOutput(usage)
	f.StringVar(&o.Root, "root", ".", "the repository's `folder`")
	f.StringVar(&o.Out, "out", "dist/images", "the `folder` for archives, below the repository's")
	f.StringVar(&o.Version, "version", "", "the `version` that programs and labels tell; required")
	f.StringVar(&tags, "tag", "", "the images' `tag`, if it is not the version, or several")
	f.StringVar(&o.Source, "source", "https://noteworks.dev", "the `address` of the sources, a label")
	f.StringVar(&o.Push, "push", "", "push to this `registry`, such as registry.example.org/team, and write no archives")
	f.StringVar(&archs, "arch", "", "amd64, arm64 or both with a comma (default both with -push, else this machine's)")
	f.StringVar(&names, "images", "", "only these `images`, separated by commas or spaces")
	f.Int64Var(&limit, "limit", 25, "the `megabytes` an image may have compressed")
	if err := f.Parse(args); err != nil {
		return Options{}, err
	}
	if f.NArg() > 0 {
		return Options{}, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	o.Archs, o.Names, o.Tags, o.Limit = list(archs), list(names), list(tags), limit*megabyte
	return o, o.complete()
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// complete fills in what follows from the rest, and refuses what can not be.
func (o *Options) complete() error {
	switch {
	case o.Version == "":
		return errors.New("-version is not set; it should be such as 0.1.0")
	case strings.ContainsAny(o.Version, " \t\n'\"="): // it is given to the linker among other words
		return fmt.Errorf("-version is %q; it should be such as 0.1.0", o.Version)
	}
	if len(o.Tags) == 0 {
		o.Tags = []string{o.Version}
	}
	switch {
	case len(o.Archs) > 0:
	case o.Push != "":
		o.Archs = []string{"amd64", "arm64"}
	case runtime.GOARCH == "arm64":
		o.Archs = []string{"arm64"}
	default:
		o.Archs = []string{"amd64"}
	}
	slices.Sort(o.Archs)
	o.Archs = slices.Compact(o.Archs)
	for _, a := range o.Archs {
		if a != "amd64" && a != "arm64" {
			return fmt.Errorf("-arch has %q; it should be amd64, arm64 or both", a)
		}
	}
	root, err := filepath.Abs(o.Root)
	if err != nil {
		return err
	}
	o.Root = root
	if !filepath.IsAbs(o.Out) {
		o.Out = filepath.Join(root, o.Out)
	}
	if o.Recipes, err = choose(o.Recipes, o.Names); err != nil {
		return err
	}
	for _, tag := range o.Tags {
		if _, err := o.ref("user", tag); err != nil {
			return err
		}
	}
	return nil
}

// ref is the image's name: below the registry that is pushed to, else "noteworks/<name>", which Docker and containerd take
// for docker.io/noteworks/<name>.
func (o *Options) ref(image, tag string) (name.Tag, error) {
	repository, rule := "noteworks/"+image, name.WeakValidation
	if o.Push != "" { // which must name its registry: without one it would go to Docker Hub
		repository, rule = strings.TrimSuffix(o.Push, "/")+"/"+repository, name.StrictValidation
	}
	ref, err := name.NewTag(repository+":"+tag, rule)
	if err != nil {
		return name.Tag{}, fmt.Errorf("this can not be an image's name: %w", err)
	}
	return ref, nil
}
