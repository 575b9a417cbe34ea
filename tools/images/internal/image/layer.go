package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// file is one file of a layer. All of them belong to root and may be read by everybody; none is written by the program.
type file struct {
	path       string // absolute in the image
	data       []byte
	executable bool
}

// layerOf packs files in the order of their paths, with their folders, all of the Unix epoch: when something was built is no part of
// what it is, and an HTTP server takes the epoch for "not known".
func layerOf(files []file) (v1.Layer, error) {
	var packed bytes.Buffer
	zip, err := gzip.NewWriterLevel(&packed, gzip.DefaultCompression)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(zip)
	if err := pack(t, files); err != nil {
		return nil, err
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
}

func pack(t *tar.Writer, files []file) error {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	have := map[string]bool{"/": true}
	for _, f := range files {
		if err := packFolders(t, path.Dir(f.path), have); err != nil {
			return err
		}
		h := header(f.path)
		h.Typeflag, h.Mode, h.Size = tar.TypeReg, 0o444, int64(len(f.data))
		if f.executable {
			h.Mode = 0o555
		}
		if err := t.WriteHeader(h); err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		if _, err := t.Write(f.data); err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
	}
	return nil
}

// packFolders writes dir and what it is in, once each.
func packFolders(t *tar.Writer, dir string, have map[string]bool) error {
	if have[dir] {
		return nil
	}
	if err := packFolders(t, path.Dir(dir), have); err != nil {
		return err
	}
	have[dir] = true
	h := header(dir + "/")
	h.Typeflag, h.Mode = tar.TypeDir, 0o755
	return t.WriteHeader(h)
}

func header(name string) *tar.Header {
	return &tar.Header{Name: strings.TrimPrefix(name, "/"), ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
}

// filesBelow reads the folder dir of this machine as the folder to of the image, without what begins with a dot.
func filesBelow(dir, to string) ([]file, error) {
	var all []file
	root := os.DirFS(dir)
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is neither a file nor a folder", p)
		}
		data, err := fs.ReadFile(root, p)
		all = append(all, file{path: path.Join(to, p), data: data})
		return err
	})
	return all, err
}
