package image

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// row is what there is to know of one image.
type row struct {
	name, arch, digest string
	packed, unpacked   int64
}

type table []row

func tableOf(images []built) (table, error) {
	var all table
	for _, b := range images {
		r, err := b.row()
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func (b *built) row() (row, error) {
	m, err := b.image.Manifest()
	if err != nil {
		return row{}, err
	}
	digest, err := b.image.Digest()
	if err != nil {
		return row{}, err
	}
	r := row{name: b.recipe.Name, arch: b.arch, digest: digest.String(), packed: m.Config.Size}
	layers, err := b.image.Layers()
	if err != nil {
		return row{}, err
	}
	for i, l := range layers {
		n, err := unpackedSize(l)
		if err != nil {
			return row{}, err
		}
		r.packed += m.Layers[i].Size
		r.unpacked += n
	}
	return r, nil
}

func unpackedSize(l v1.Layer) (int64, error) {
	all, err := l.Uncompressed()
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, all)
	return n, errors.Join(err, all.Close())
}

func (t table) write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, err := fmt.Fprintln(w, "IMAGE\tPLATFORM\tCOMPRESSED\tUNPACKED\tDIGEST")
	for _, r := range t {
		_, e := fmt.Fprintf(w, "%s\tlinux/%s\t%s\t%s\t%s\n", r.name, r.arch, inMegabytes(r.packed), inMegabytes(r.unpacked), r.digest)
		err = errors.Join(err, e)
	}
	return errors.Join(err, w.Flush())
}

// within reports every image that is larger than it may be.
func (t table) within(limit int64) error {
	var all []error
	for _, r := range t {
		if r.packed > limit {
			all = append(all, fmt.Errorf("%s for %s has %s compressed; it should be %s at most", r.name, r.arch, inMegabytes(r.packed), inMegabytes(limit)))
		}
	}
	return errors.Join(all...)
}

func inMegabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/megabyte) }
