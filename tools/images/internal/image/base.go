package image

import (
	"bytes"
	"encoding/pem"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// nonroot runs the programs: the account that images without a distribution have by custom.
const nonroot = "65532"

// baseLayer is what all images have in common: two accounts, and the roots that Mozilla trusts. They come from a Go module, so that
// go.sum says which, and not from the machine that builds.
func baseLayer() (v1.Layer, error) {
	roots, err := certificates()
	if err != nil {
		return nil, err
	}
	return layerOf([]file{
		{path: "/etc/passwd", data: []byte("root:x:0:0:root:/:/sbin/nologin\nnonroot:x:" + nonroot + ":" + nonroot + ":nonroot:/:/sbin/nologin\n")},
		{path: "/etc/group", data: []byte("root:x:0:\nnonroot:x:" + nonroot + ":\n")},
		{path: "/etc/ssl/certs/ca-certificates.crt", data: roots},
	})
}

// certificates are the roots as PEM. A file can not say "only what was issued before", so a root that is trusted with such
// a constraint only is left out.
func certificates() ([]byte, error) {
	var all bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	return all.Bytes(), nil
}
