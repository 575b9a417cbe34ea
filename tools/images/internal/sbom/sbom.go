// Package sbom writes down what a program and a web app are made of, as SPDX 2.3.
//
// It reads what is certain: the modules the Go linker wrote into the program, and the packages that the lock file pins. The same
// parts give the same bytes. Imports spdx/tools-golang and the standard library; knows nothing of images.
package sbom

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// unknown is how SPDX says that nothing is claimed.
const unknown = "NOASSERTION"

// Part is something of others that is inside.
type Part struct {
	Name    string
	Version string
	// URL names it for scanners: a package URL such as pkg:golang/golang.org/x/crypto@v0.1.0.
	URL string
	// License is an SPDX expression, empty if nobody declared one.
	License string
	// SHA512 is of the archive that it was taken from, in hexadecimal; empty if there is none.
	SHA512 string
	// Place is where a lock file says it is, from the lock file's folder; empty for what has none.
	Place string
}

// Document is what Write writes.
type Document struct {
	Name    string
	Version string
	License string
	Source  string
	Created time.Time
	Parts   []Part
}

// Write answers d as SPDX JSON. Its namespace, which has to be unique, is made of its content.
func Write(d Document) ([]byte, error) {
	parts := slices.Clone(d.Parts)
	slices.SortFunc(parts, func(a, b Part) int { return cmp.Compare(a.URL, b.URL) })
	parts = slices.CompactFunc(parts, func(a, b Part) bool { return a.URL == b.URL })

	doc := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT", DocumentName: d.Name + "-" + d.Version,
		CreationInfo: &spdx.CreationInfo{
			Created:  d.Created.UTC().Format(time.RFC3339),
			Creators: []common.Creator{{CreatorType: "Organization", Creator: "Noteworks"}, {CreatorType: "Tool", Creator: "noteworks-images"}},
		},
		Packages:      []*spdx.Package{d.itself()},
		Relationships: []*spdx.Relationship{relation("DOCUMENT", common.TypeRelationshipDescribe, "Package")},
	}
	for _, p := range parts {
		described := p.describe()
		doc.Packages = append(doc.Packages, described)
		doc.Relationships = append(doc.Relationships, relation("Package", common.TypeRelationshipContains, string(described.PackageSPDXIdentifier)))
	}
	return encode(doc, d.Source)
}

func encode(doc *spdx.Document, source string) ([]byte, error) {
	var b bytes.Buffer
	if err := spdxjson.Write(doc, &b); err != nil {
		return nil, err
	}
	doc.DocumentNamespace = fmt.Sprintf("%s/spdx/%s/%x", strings.TrimSuffix(source, "/"), doc.DocumentName, sha256.Sum256(b.Bytes()))
	b.Reset()
	err := spdxjson.Write(doc, &b, spdxjson.Indent("  "), spdxjson.EscapeHTML(false))
	return b.Bytes(), err
}

func (d *Document) itself() *spdx.Package {
	return &spdx.Package{
		PackageSPDXIdentifier: "Package", PackageName: d.Name, PackageVersion: d.Version,
		PackageSupplier:         &common.Supplier{SupplierType: "Organization", Supplier: "Noteworks"},
		PackageDownloadLocation: d.Source, PackageLicenseConcluded: d.License, PackageLicenseDeclared: d.License,
		PackageCopyrightText: unknown, PrimaryPackagePurpose: "CONTAINER",
	}
}

func (p *Part) describe() *spdx.Package {
	described := &spdx.Package{
		PackageSPDXIdentifier: p.id(), PackageName: p.Name, PackageVersion: p.Version, PackageDownloadLocation: unknown,
		PackageLicenseConcluded: unknown, PackageLicenseDeclared: cmp.Or(p.License, unknown), PackageCopyrightText: unknown,
		PrimaryPackagePurpose: "LIBRARY",
		PackageExternalReferences: []*spdx.PackageExternalReference{{
			Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: p.URL,
		}},
	}
	if p.SHA512 != "" {
		described.PackageChecksums = []common.Checksum{{Algorithm: common.SHA512, Value: p.SHA512}}
	}
	return described
}

// id may have letters, digits, dots and hyphens only, and two parts must not share one.
func (p *Part) id() common.ElementID {
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, p.Name+"-"+p.Version)
	sum := sha256.Sum256([]byte(p.URL))
	return common.ElementID("Package-" + plain + "-" + hex.EncodeToString(sum[:4]))
}

func relation(a, kind, b string) *spdx.Relationship {
	return &spdx.Relationship{RefA: common.MakeDocElementID("", a), RefB: common.MakeDocElementID("", b), Relationship: kind}
}
