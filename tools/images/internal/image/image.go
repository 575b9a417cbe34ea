package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"noteworks.dev/tools/images/internal/sbom"
)

// sbomPath is where each image carries what it is made of.
const sbomPath = "/usr/share/noteworks/sbom.spdx.json"

// built is one image for one processor.
type built struct {
	recipe Recipe
	arch   string
	image  v1.Image
	sbom   []byte
}

// kitchen has what all images need once.
type kitchen struct {
	options Options
	source  source
	base    v1.Layer
}

// assemble makes the image of r from its compiled program.
func (k *kitchen) assemble(ctx context.Context, r Recipe, arch, program string) (built, error) {
	binary, err := os.ReadFile(program)
	if err != nil {
		return built{}, err
	}
	bill, err := k.bill(r, program)
	if err != nil {
		return built{}, fmt.Errorf("SBOM: %w", err)
	}
	licenses, err := k.notices(ctx, r, arch)
	if err != nil {
		return built{}, err
	}
	adds := []mutate.Addendum{{Layer: k.base, History: k.history("certificates and accounts")}}
	add := func(what string, files ...file) error {
		layer, err := layerOf(files)
		adds = append(adds, mutate.Addendum{Layer: layer, History: k.history(what)})
		return err
	}
	if r.Web != "" {
		app, err := filesBelow(filepath.Join(k.options.Root, r.Web, "dist"), "/web")
		if err != nil {
			return built{}, fmt.Errorf("web app: %w", err)
		}
		if err := add("the web app", app...); err != nil {
			return built{}, err
		}
	}
	if err := add("the program", file{path: "/" + r.Name, data: binary, executable: true}); err != nil {
		return built{}, err
	}
	if err := add("what it is made of", file{path: sbomPath, data: bill}, file{path: noticesPath, data: licenses}); err != nil {
		return built{}, err
	}
	img, err := mutate.ConfigFile(blank(), k.config(r, arch))
	if err != nil {
		return built{}, err
	}
	if img, err = mutate.Append(img, adds...); err != nil {
		return built{}, err
	}
	annotated, ok := mutate.Annotations(img, k.labels(r)).(v1.Image)
	if !ok {
		return built{}, fmt.Errorf("an annotated image is a %T", annotated)
	}
	return built{recipe: r, arch: arch, image: annotated, sbom: bill}, nil
}

func blank() v1.Image {
	return mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
}

func (k *kitchen) config(r Recipe, arch string) *v1.ConfigFile {
	ports := map[string]struct{}{}
	for _, p := range r.Ports {
		ports[fmt.Sprintf("%d/tcp", p)] = struct{}{}
	}
	p := platform(arch)
	return &v1.ConfigFile{
		Architecture: p.Architecture,
		Variant:      p.Variant,
		OS:           p.OS,
		Created:      v1.Time{Time: k.source.created},
		RootFS:       v1.RootFS{Type: "layers"},
		Config: v1.Config{
			Entrypoint:   []string{"/" + r.Name},
			Env:          r.Env,
			User:         nonroot + ":" + nonroot,
			WorkingDir:   "/",
			ExposedPorts: ports,
			Labels:       k.labels(r),
		},
	}
}

// labels are the image's, and the annotations of its manifest and index, where registries look.
func (k *kitchen) labels(r Recipe) map[string]string {
	all := map[string]string{
		"org.opencontainers.image.title":       "noteworks-" + r.Name,
		"org.opencontainers.image.description": r.Description,
		"org.opencontainers.image.version":     k.options.Version,
		"org.opencontainers.image.source":      k.options.Source,
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.vendor":      "Noteworks",
		"org.opencontainers.image.created":     k.source.created.Format(time.RFC3339),
	}
	if k.source.revision != "" {
		all["org.opencontainers.image.revision"] = k.source.revision
	}
	return all
}

func (k *kitchen) history(what string) v1.History {
	return v1.History{Created: v1.Time{Time: k.source.created}, CreatedBy: "make images", Comment: what}
}

func (k *kitchen) bill(r Recipe, program string) ([]byte, error) {
	parts, err := sbom.OfProgram(program)
	if err != nil {
		return nil, err
	}
	if r.Web != "" {
		app, err := sbom.OfLock(k.lock(r))
		if err != nil {
			return nil, err
		}
		parts = append(parts, app...)
	}
	return sbom.Write(sbom.Document{
		Name: "noteworks-" + r.Name, Version: k.options.Version, License: "Apache-2.0",
		Source: k.options.Source, Created: k.source.created, Parts: parts,
	})
}

func (k *kitchen) lock(r Recipe) string {
	return filepath.Join(k.options.Root, r.Web, "package-lock.json")
}

func platform(arch string) v1.Platform {
	p := v1.Platform{OS: "linux", Architecture: arch}
	if arch == "arm64" {
		p.Variant = "v8"
	}
	return p
}
