package image

import (
	"context"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// spdxType is what an SBOM is called among the things that refer to an image.
const spdxType types.MediaType = "application/spdx+json"

// push sends each image as one index of its processors, and each processor's SBOM as something that refers to its image. The index comes
// last, so that a tag never names what is not all there. Credentials are those of `docker login`.
func (o *Options) push(ctx context.Context, images []built, out io.Writer) error {
	pusher, err := remote.NewPusher(remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return err
	}
	for i := 0; i < len(images); i += len(o.Archs) {
		if err := o.pushIndex(ctx, pusher, images[i:i+len(o.Archs)], out); err != nil {
			return fmt.Errorf("push %s: %w", images[i].recipe.Name, err)
		}
	}
	return nil
}

func (o *Options) pushIndex(ctx context.Context, pusher *remote.Pusher, platforms []built, out io.Writer) error {
	index, err := indexOf(platforms)
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	for i, tag := range o.Tags {
		ref, err := o.ref(platforms[0].recipe.Name, tag)
		if err != nil {
			return err
		}
		if i == 0 {
			for _, b := range platforms {
				if err := pushWithSBOM(ctx, pusher, ref.Repository, b); err != nil {
					return err
				}
			}
		}
		if err := pusher.Push(ctx, ref, index); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "pushed %s@%s\n", ref, digest); err != nil {
			return err
		}
	}
	return nil
}

func pushWithSBOM(ctx context.Context, pusher *remote.Pusher, repository name.Repository, b built) error {
	subject, err := partial.Descriptor(b.image)
	if err != nil {
		return err
	}
	if err := pusher.Push(ctx, repository.Digest(subject.Digest.String()), b.image); err != nil {
		return err
	}
	referrer, err := referrerTo(*subject, b.sbom)
	if err != nil {
		return err
	}
	digest, err := referrer.Digest()
	if err != nil {
		return err
	}
	return pusher.Push(ctx, repository.Digest(digest.String()), referrer)
}

func indexOf(platforms []built) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, b := range platforms {
		p := platform(b.arch)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: b.image, Descriptor: v1.Descriptor{Platform: &p}})
	}
	labels, err := platforms[0].image.Manifest()
	if err != nil {
		return nil, err
	}
	annotated, ok := mutate.Annotations(index, labels.Annotations).(v1.ImageIndex)
	if !ok {
		return nil, fmt.Errorf("an annotated index is a %T", annotated)
	}
	return annotated, nil
}

// referrerTo is an artifact that holds an SBOM and says whose it is.
func referrerTo(subject v1.Descriptor, sbom []byte) (v1.Image, error) {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), spdxType)
	img, err := mutate.AppendLayers(img, static.NewLayer(sbom, spdxType))
	if err != nil {
		return nil, err
	}
	subject.Platform, subject.Annotations = nil, nil
	referrer, ok := mutate.Subject(img, subject).(v1.Image)
	if !ok {
		return nil, fmt.Errorf("a referrer is a %T", referrer)
	}
	return referrer, nil
}
