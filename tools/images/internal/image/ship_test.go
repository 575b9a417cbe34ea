package image

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func TestAnArchiveIsWhatDockerSaves(t *testing.T) {
	t.Parallel()
	root := repository(t, fixture())
	told, err := run(t.Context(), root, "-arch", "amd64", "-tag", "t1 t2")
	if err != nil || !strings.Contains(told, "wrote dist/images/user-t1.tar") || !strings.Contains(told, "wrote dist/images/gateway-t2.tar") {
		t.Fatalf("error %v after:\n%s", err, told)
	}
	archive := filepath.Join(root, "dist", "images", "user-t1.tar")
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(archive) })
	if err != nil || len(manifest) != 1 || !slices.Equal(manifest[0].RepoTags, []string{"noteworks/user:t1"}) {
		t.Fatalf("its manifest is %+v, error %v", manifest, err)
	}
	img, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	got, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	want, err := images(t, root, "-arch", "amd64")[0].image.ConfigName()
	if err != nil || got != want {
		t.Errorf("the archive's image is %s, the pushed one %s, error %v", got, want, err)
	}
	if left, err := filepath.Glob(filepath.Join(root, "dist", "images", ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, error %v", left, err)
	}
}

func TestArchivesOfTwoProcessorsHaveTwoNames(t *testing.T) {
	t.Parallel()
	root := repository(t, fixture())
	if _, err := run(t.Context(), root, "-arch", "arm64 amd64"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"user-1.2.3-amd64.tar", "user-1.2.3-arm64.tar", "gateway-1.2.3-amd64.tar", "gateway-1.2.3-arm64.tar"} {
		if _, err := os.Stat(filepath.Join(root, "dist", "images", want)); err != nil {
			t.Error(err)
		}
	}
}

// shelf is a registry on this machine that counts the blobs it is sent.
type shelf struct {
	host string

	mu    sync.Mutex
	blobs int
}

func startRegistry(t *testing.T, opts ...registry.Option) *shelf {
	t.Helper()
	s := &shelf{}
	inner := registry.New(append(opts, registry.Logger(slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)))...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/blobs/uploads/") {
			s.mu.Lock()
			s.blobs++
			s.mu.Unlock()
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	return s
}

func (s *shelf) uploaded() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blobs
}

// index answers what the registry has of image:tag below "team".
func (s *shelf) index(t *testing.T, image, tag string) (v1.ImageIndex, name.Repository) {
	t.Helper()
	ref, err := name.NewTag(s.host + "/team/noteworks/" + image + ":" + tag)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(ref, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return index, ref.Repository
}

func TestAPushIsAnIndexOfBothProcessorsWithTheirSBOMs(t *testing.T) {
	t.Parallel()
	for kind, opts := range map[string][]registry.Option{
		"a registry that knows referrers":       {registry.WithReferrersSupport(true)},
		"an older one, which has them by a tag": nil,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, root := startRegistry(t, opts...), repository(t, fixture())
			told, err := run(t.Context(), root, "-push", s.host+"/team")
			if err != nil || !strings.Contains(told, "pushed "+s.host+"/team/noteworks/gateway:1.2.3@sha256:") {
				t.Fatalf("error %v after:\n%s", err, told)
			}
			index, repository := s.index(t, "gateway", "1.2.3")
			if err := validate.Index(index); err != nil {
				t.Error(err)
			}
			manifest, err := index.IndexManifest()
			if err != nil {
				t.Fatal(err)
			}
			if manifest.Annotations["org.opencontainers.image.title"] != "noteworks-gateway" {
				t.Errorf("the index is annotated with %v", manifest.Annotations)
			}
			var platforms []string
			for _, d := range manifest.Manifests {
				platforms = append(platforms, d.Platform.String())
				requireSBOM(t, repository, d.Digest)
			}
			if !slices.Equal(platforms, []string{"linux/amd64", "linux/arm64/v8"}) {
				t.Errorf("it is for %q", platforms)
			}
		})
	}
}

// requireSBOM finds the SBOM as a scanner does: among what refers to the image; and it is the one that is inside.
func requireSBOM(t *testing.T, repository name.Repository, of v1.Hash) {
	t.Helper()
	referrers, err := remote.Referrers(repository.Digest(of.String()), remote.WithContext(t.Context()), remote.WithFilter("artifactType", "application/spdx+json"))
	if err != nil {
		t.Fatal(err)
	}
	found, err := referrers.IndexManifest()
	if err != nil || len(found.Manifests) != 1 {
		t.Fatalf("%d SBOMs refer to %s, error %v", len(found.Manifests), of, err)
	}
	artifact, err := remote.Image(repository.Digest(found.Manifests[0].Digest.String()), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	layers, err := artifact.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, error %v", len(layers), err)
	}
	r, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	attached, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(repository.Digest(of.String()), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if inside := contents(t, img)[sbomPath].data; !bytes.Equal(attached, inside) {
		t.Error("the attached SBOM is not the image's own")
	}
}

func TestASecondTagSendsNoLayerAgain(t *testing.T) {
	t.Parallel()
	s, root := startRegistry(t, registry.WithReferrersSupport(true)), repository(t, fixture())
	if _, err := run(t.Context(), root, "-push", s.host+"/team"); err != nil {
		t.Fatal(err)
	}
	before := s.uploaded()
	if _, err := run(t.Context(), root, "-push", s.host+"/team", "-tag", "next,last"); err != nil {
		t.Fatal(err)
	}
	if after := s.uploaded(); before == 0 || after != before {
		t.Errorf("%d blobs were sent for the first tag, %d more for the second", before, after-before)
	}
	a, _ := s.index(t, "user", "1.2.3")
	b, _ := s.index(t, "user", "last")
	first, err := a.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if second, err := b.Digest(); err != nil || first != second {
		t.Errorf("the tags are of %s and %s, error %v", first, second, err)
	}
}

func TestARegistryThatIsAwayIsNamed(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	host := strings.TrimPrefix(s.URL, "http://")
	s.Close()
	if _, err := run(t.Context(), repository(t, fixture()), "-push", host, "-arch", "amd64"); err == nil || !strings.Contains(err.Error(), host) {
		t.Errorf("error %v", err)
	}
}
