// Package image makes container images out of this repository: compiles the programs, packs them with what they need and nothing
// else, and writes archives or pushes.
//
// It promises: the same sources, version and Go release give the same digests, wherever and whenever they are built; an image above the
// limit is an error; nothing is pulled, and nothing but files is written unless a registry is named.
// Imports go-containerregistry, Mozilla's roots and sbom.
package image

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
)

// Run is the command: it makes what args say and tells out what it does.
func Run(ctx context.Context, args []string, lookup func(string) (string, bool), out io.Writer) error {
	o, err := parse(args, out)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	}
	return o.make(ctx, lookup, out)
}

func (o *Options) make(ctx context.Context, lookup func(string) (string, bool), out io.Writer) error {
	images, err := o.build(ctx, lookup, out)
	if err != nil {
		return err
	}
	table, err := tableOf(images)
	if err != nil {
		return err
	}
	if err := table.write(out); err != nil {
		return err
	}
	if err := table.within(o.Limit); err != nil {
		return err
	}
	if o.Push != "" {
		return o.push(ctx, images, out)
	}
	return o.archive(images, out)
}

// build makes every image for every processor, in the order of recipes and then processors.
func (o *Options) build(ctx context.Context, lookup func(string) (string, bool), out io.Writer) ([]built, error) {
	from, err := sourceOf(ctx, o.Root, lookup)
	if err != nil {
		return nil, err
	}
	if err := o.webBuilt(); err != nil {
		return nil, err
	}
	base, err := baseLayer()
	if err != nil {
		return nil, err
	}
	programs, err := os.MkdirTemp("", "noteworks-images-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(programs)   //nolint:errcheck // the system clears its temporary folder
	for _, arch := range o.Archs { // one after the other: each of them uses all processors
		if _, err := fmt.Fprintf(out, "compiling for linux/%s\n", arch); err != nil {
			return nil, err
		}
		if err := o.compile(ctx, arch, filepath.Join(programs, arch)); err != nil {
			return nil, err
		}
	}
	k := &kitchen{options: *o, source: from, base: base}
	images := make([]built, len(o.Recipes)*len(o.Archs))
	var all errgroup.Group
	all.SetLimit(runtime.GOMAXPROCS(0))
	for i := range images {
		r, arch := o.Recipes[i/len(o.Archs)], o.Archs[i%len(o.Archs)]
		all.Go(func() error {
			b, err := k.assemble(ctx, r, arch, filepath.Join(programs, arch, r.Name))
			if err != nil {
				return fmt.Errorf("image %s for %s: %w", r.Name, arch, err)
			}
			images[i] = b
			return nil
		})
	}
	return images, all.Wait()
}

// webBuilt fails early and plainly, before minutes of compiling.
func (o *Options) webBuilt() error {
	wants := slices.IndexFunc(o.Recipes, func(r Recipe) bool { return r.Web != "" })
	if wants < 0 {
		return nil
	}
	index := filepath.Join(o.Root, o.Recipes[wants].Web, "dist", "index.html")
	if _, err := os.Stat(index); err != nil {
		return fmt.Errorf("the web app is not built (make %s/dist/index.html): %w", o.Recipes[wants].Web, err)
	}
	return nil
}
