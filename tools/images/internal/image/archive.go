package image

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// archive writes each image as what `docker save` writes, which Docker, Podman, containerd and kind load. Its name is
// <image>-<tag>.tar, with the processor before the ending if there are several.
func (o *Options) archive(images []built, out io.Writer) error {
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return err
	}
	for _, b := range images {
		for _, tag := range o.Tags {
			if err := o.writeArchive(b, tag, out); err != nil {
				return fmt.Errorf("archive of %s: %w", b.recipe.Name, err)
			}
		}
	}
	return nil
}

func (o *Options) writeArchive(b built, tag string, out io.Writer) error {
	ref, err := o.ref(b.recipe.Name, tag)
	if err != nil {
		return err
	}
	name := b.recipe.Name + "-" + tag
	if len(o.Archs) > 1 {
		name += "-" + b.arch
	}
	path := filepath.Join(o.Out, name+".tar")
	if err := writeWhole(path, func(w io.Writer) error { return tarball.Write(ref, b.image, w) }); err != nil {
		return err
	}
	shown := path
	if below, err := filepath.Rel(o.Root, path); err == nil && filepath.IsLocal(below) {
		shown = below
	}
	_, err = fmt.Fprintf(out, "wrote %s\n", shown)
	return err
}

// writeWhole writes under another name first: who reads path never gets half of it.
func writeWhole(path string, write func(io.Writer) error) error {
	half, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(half.Name()) //nolint:errcheck // it is gone if all went well
	if err := errors.Join(half.Chmod(0o644), write(half), half.Close()); err != nil {
		return err
	}
	return os.Rename(half.Name(), path)
}
