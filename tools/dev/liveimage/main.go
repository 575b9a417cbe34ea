// Command liveimage makes the image of one service for development: its program, and tools/dev/live to run it and newer ones. It is like the
// released image (nothing but static programs, uid 65532, no shell), made without Docker, and written as an archive that
// `kind load image-archive` and `docker load` take.
//
//	go run ./tools/dev/liveimage -name user -program dist/dev/user -live dist/dev/live -ref noteworks/user:dev -out dist/dev/user.tar
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
)

type options struct{ name, program, live, ref, out, arch string }

func main() {
	var o options
	flag.StringVar(&o.name, "name", "", "the `name` of the service, and of its program in the image")
	flag.StringVar(&o.program, "program", "", "its `file`, for Linux")
	flag.StringVar(&o.live, "live", "", "the `file` of tools/dev/live, for Linux")
	flag.StringVar(&o.ref, "ref", "", "the image's `name:tag`")
	flag.StringVar(&o.out, "out", "", "the `archive` to write")
	flag.StringVar(&o.arch, "arch", runtime.GOARCH, "the processor of both `programs`")
	flag.Parse()
	if err := write(o); err != nil {
		fmt.Fprintln(os.Stderr, "liveimage:", err)
		os.Exit(1)
	}
}

// write puts the archive in its place at once: who reads it meanwhile reads all of the old one.
func write(o options) error {
	if o.name == "" || o.ref == "" || o.out == "" {
		return fmt.Errorf("-name, -ref and -out have to be given")
	}
	layer, err := layerOf(o)
	if err != nil {
		return err
	}
	config, err := configOf(o, layer)
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{o.ref}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	next := o.out + ".new"
	f, err := os.Create(next)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := pack(f, file{"config.json", 0o644, config}, file{"layer.tar", 0o644, layer}, file{"manifest.json", 0o644, manifest}); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(next, o.out)
}

type file struct {
	name string
	mode int64
	data []byte
}

// elsewhere stands where the gateway looks for the web app.
const elsewhere = `<!doctype html><meta charset="utf-8"><meta name="csp-nonce" content="__CSP_NONCE__"><title>Noteworks</title>
<p>While developing, the web app is served by Vite: <a href="http://localhost:5173">http://localhost:5173</a></p>
`

// layerOf is the whole file system.
func layerOf(o options) ([]byte, error) {
	program, err := os.ReadFile(o.program)
	if err != nil {
		return nil, err
	}
	live, err := os.ReadFile(o.live)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = pack(&b,
		file{o.name, 0o755, program},
		file{"bin/live", 0o755, live},
		file{"bin/tar", 0o755, live},
		file{"bin/rm", 0o755, live},
		file{"web/index.html", 0o644, []byte(elsewhere)},
		file{"etc/passwd", 0o644, []byte("nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n")},
	)
	return b.Bytes(), err
}

func configOf(o options, layer []byte) ([]byte, error) {
	return json.Marshal(map[string]any{
		"architecture": o.arch, "os": "linux", "created": "1970-01-01T00:00:00Z",
		"config": map[string]any{
			"Entrypoint": []string{"/bin/live", "/" + o.name}, "User": "65532:65532", "WorkingDir": "/", "Env": []string{"PATH=/bin"},
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
}

func pack(to io.Writer, files ...file) error {
	w := tar.NewWriter(to)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		if _, err := w.Write(f.data); err != nil {
			return err
		}
	}
	return w.Close()
}
