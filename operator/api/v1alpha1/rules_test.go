package v1alpha1_test

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"noteworks.dev/operator/internal/apitest"
)

// workspace reads what people write: a spec as YAML, below a name.
func workspace(t *testing.T, namespace, name, spec string) *unstructured.Unstructured {
	t.Helper()
	ws := &unstructured.Unstructured{Object: map[string]any{}}
	var written map[string]any
	if err := yaml.UnmarshalStrict([]byte(spec), &written); err != nil {
		t.Fatalf("%v in\n%s", err, spec)
	}
	ws.Object["spec"] = written
	ws.SetAPIVersion("noteworks.dev/v1alpha1")
	ws.SetKind("NoteWorkspace")
	ws.SetNamespace(namespace)
	ws.SetName(name)
	return ws
}

// strictly is how kubectl writes: what the schema does not know is an error.
func strictly(c client.Client) client.Client {
	return client.WithFieldValidation(c, "Strict")
}

const owner = "owner: {email: ann@example.org}\n"

func TestASpecThatBreaksARuleIsRefusedInWordsThatHelp(t *testing.T) {
	t.Parallel()
	w := apitest.Start(t)
	namespace := w.Namespace(t)
	long := strings.Repeat("long", 63) + "n"
	for _, c := range []struct {
		breaks string
		name   string // "acme" when empty
		spec   string
		says   []string
	}{
		{breaks: "no owner", spec: "title: Acme", says: []string{"spec.owner: Required"}},
		{breaks: "no address of the owner", spec: "owner: {name: Ann}", says: []string{"spec.owner.email: Required"}},
		{breaks: "an address that is none", spec: "owner: {email: ann}", says: []string{"spec.owner.email", "ann@example.org"}},
		{breaks: "an address with a space", spec: "owner: {email: ann smith@example.org}", says: []string{"spec.owner.email", "ann@example.org"}},
		{breaks: "an address beyond what mail allows", spec: "owner: {email: '" + strings.Repeat("a", 250) + "@b.org'}", says: []string{"spec.owner.email", "254"}},
		{breaks: "an owner's name of two lines", spec: `owner: {email: a@b.org, name: "Ann\nSmith"}`, says: []string{"spec.owner.name", "one line"}},
		{breaks: "an empty name of the owner", spec: `owner: {email: a@b.org, name: ""}`, says: []string{"spec.owner.name", "at least 1"}},
		{breaks: "a name of 253 characters", name: long, spec: owner + "slug: acme", says: []string{"at most 63 characters"}},
		{breaks: "a name of 253 characters as the slug", name: long, spec: owner, says: []string{"at most 63 characters"}},
		{breaks: "a name that is no slug", name: "acme.sales", spec: owner, says: []string{"spec.slug", "lower-case letters, digits and inner hyphens", "the name is the slug"}},
		{breaks: "a name that is reserved", name: "www", spec: owner, says: []string{"spec.slug", "reserved"}},
		{breaks: "a slug in capitals", spec: owner + "slug: Acme", says: []string{"spec.slug", "lower-case letters"}},
		{breaks: "a slug that ends with a hyphen", spec: owner + "slug: acme-", says: []string{"spec.slug", "inner hyphens"}},
		{breaks: "a slug of a path", spec: owner + "slug: ../acme", says: []string{"spec.slug", "lower-case letters"}},
		{breaks: "an empty slug", spec: owner + `slug: ""`, says: []string{"spec.slug", "at least 1"}},
		{breaks: "a slug of 64 characters", spec: owner + "slug: " + strings.Repeat("a", 64), says: []string{"spec.slug", "63"}},
		{breaks: "a reserved slug", spec: owner + "slug: admin", says: []string{"spec.slug", "reserved for the platform"}},
		{breaks: "a slug that reads as another alphabet", spec: owner + "slug: xn--acme-9za", says: []string{"spec.slug", "reserved"}},
		{breaks: "a title of two lines", spec: owner + `title: "a\nb"`, says: []string{"spec.title", "one line"}},
		{breaks: "a title of 101 characters", spec: owner + "title: " + strings.Repeat("a", 101), says: []string{"spec.title", "100"}},
		{breaks: "an isolation that there is not", spec: owner + "isolation: Alone", says: []string{"spec.isolation", `"Shared", "Dedicated"`}},
		{breaks: "a host of one label", spec: owner + "host: notes", says: []string{"spec.host", "notes.example.org"}},
		{breaks: "a host with a port", spec: owner + "host: notes.example.org:8080", says: []string{"spec.host", "complete domain name"}},
		{breaks: "a host of everybody", spec: owner + "host: '*.example.org'", says: []string{"spec.host", "complete domain name"}},
		{breaks: "a way to join that there is not", spec: owner + "access: {signUp: Anybody}", says: []string{"spec.access.signUp", `"Open", "Invite", "Closed"`}},
		{breaks: "a domain with an @", spec: owner + "access: {emailDomains: ['@example.org']}", says: []string{"spec.access.emailDomains[0]", "without the @"}},
		{breaks: "a domain twice", spec: owner + "access: {emailDomains: [example.org, example.org]}", says: []string{"spec.access.emailDomains[1]", "Duplicate"}},
		{breaks: "51 domains", spec: owner + "access: {emailDomains: [" + strings.Repeat("example.org, ", 51) + "]}", says: []string{"spec.access.emailDomains", "50"}},
		{breaks: "no members at all", spec: owner + "limits: {members: 0}", says: []string{"spec.limits.members", "greater than or equal to 1"}},
		{breaks: "no notes at all", spec: owner + "limits: {notes: 0}", says: []string{"spec.limits.notes", "greater than or equal to 1"}},
		{breaks: "no requests at all", spec: owner + "limits: {requestsPerMinute: -1}", says: []string{"spec.limits.requestsPerMinute", "greater than or equal to 1"}},
		{breaks: "bytes below nothing", spec: owner + "limits: {bytes: -1}", says: []string{"spec.limits", "positive whole number", "5Gi"}},
		{breaks: "bytes below nothing, in words", spec: owner + "limits: {bytes: '-1'}", says: []string{"spec.limits", "positive whole number"}},
		{breaks: "no bytes at all", spec: owner + "limits: {bytes: 0}", says: []string{"spec.limits", "positive whole number"}},
		{breaks: "more bytes than there are", spec: owner + "limits: {bytes: '1e100'}", says: []string{"spec.limits", "below 8Ei"}},
		{breaks: "more bytes than there are, as a number", spec: owner + "limits: {bytes: 1e100}", says: []string{"spec.limits.bytes", "integer,string"}},
		{breaks: "half a byte", spec: owner + "limits: {bytes: 500m}", says: []string{"spec.limits", "positive whole number"}},
		{breaks: "bytes of a unit that there is not", spec: owner + "limits: {bytes: 5GB}", says: []string{"spec.limits.bytes"}},
		{breaks: "a trash that is emptied at once", spec: owner + "retention: {trashDays: 0}", says: []string{"spec.retention.trashDays", "greater than or equal to 1"}},
		{breaks: "a trash for ever", spec: owner + "retention: {trashDays: 3651}", says: []string{"spec.retention.trashDays", "3650"}},
		{breaks: "revisions for ever", spec: owner + "retention: {revisionDays: 3651}", says: []string{"spec.retention.revisionDays", "3650"}},
		{breaks: "a policy that there is not", spec: owner + "deletionPolicy: Forget", says: []string{"spec.deletionPolicy", `"Retain", "Delete"`}},
		{breaks: "dedicated for a shared workspace", spec: owner + "dedicated: {profile: dev}", says: []string{"dedicated is for isolation: Dedicated", "remove it"}},
		{breaks: "a profile that there is not", spec: dedicated("profile: huge"), says: []string{"spec.dedicated.profile", `"dev", "small", "ha"`}},
		{breaks: "a volume below nothing", spec: dedicated("storage: {postgres: -1}"), says: []string{"spec.dedicated.storage", "postgres is a positive", "20Gi"}},
		{breaks: "a volume beyond all disks", spec: dedicated("storage: {nats: '1e100'}"), says: []string{"spec.dedicated.storage", "nats is a positive", "8Ei"}},
		{breaks: "processors below nothing", spec: dedicated("resources: {user: {limits: {cpu: -1}}}"), says: []string{"spec.dedicated.resources.user.limits", "positive"}},
		{breaks: "memory beyond all machines", spec: dedicated("resources: {note: {requests: {memory: '1e100'}}}"), says: []string{"spec.dedicated.resources.note.requests", "positive"}},
		{breaks: "a resource that no service needs", spec: dedicated("resources: {gateway: {limits: {example.org/gpu: 1}}}"), says: []string{"spec.dedicated.resources.gateway.limits", "cpu and memory"}},
		{breaks: "a volume for a PostgreSQL of one's own", spec: dedicated("postgres: {secretRef: {name: db}}, storage: {postgres: 1Gi}"), says: []string{"storage.postgres is for the stack's own PostgreSQL"}},
		{breaks: "a volume for a NATS of one's own", spec: dedicated("nats: {url: nats://a:4222, secretRef: {name: queue}}, storage: {nats: 1Gi}"), says: []string{"storage.nats is for the stack's own NATS"}},
		{breaks: "a PostgreSQL without a Secret", spec: dedicated("postgres: {}"), says: []string{"spec.dedicated.postgres.secretRef: Required"}},
		{breaks: "a Secret without a name", spec: dedicated("postgres: {secretRef: {name: ''}}"), says: []string{"spec.dedicated.postgres.secretRef.name"}},
		{breaks: "a NATS by another protocol", spec: dedicated("nats: {url: http://a:4222, secretRef: {name: queue}}"), says: []string{"spec.dedicated.nats.url", "nats://nats.infra:4222"}},
		{breaks: "a NATS with its password", spec: dedicated("nats: {url: 'nats://u:p@a:4222', secretRef: {name: queue}}"), says: []string{"spec.dedicated.nats.url", "without a password"}},
		{breaks: "a field that there is not", spec: owner + "quota: 5", says: []string{"unknown field", "quota"}},
		{breaks: "an owner that is a word", spec: "owner: ann@example.org", says: []string{"spec.owner", "object"}},
	} {
		t.Run(c.breaks, func(t *testing.T) {
			t.Parallel()
			name := c.name
			if name == "" {
				name = "acme"
			}
			err := strictly(w.Client).Create(t.Context(), workspace(t, namespace, name, c.spec))
			if err == nil {
				t.Fatalf("it was taken:\n%s", c.spec)
			}
			if !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) {
				t.Errorf("the error is of another kind: %v", err)
			}
			for _, word := range c.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("nothing of %q in: %v", word, err)
				}
			}
		})
	}
}

// dedicated is a spec with these fields of spec.dedicated.
func dedicated(fields string) string {
	return owner + "isolation: Dedicated\ndedicated: {" + fields + "}"
}

func TestASpecThatBreaksNoRuleIsTaken(t *testing.T) {
	t.Parallel()
	w := apitest.Start(t)
	for name, spec := range map[string]string{
		"next to nothing":            owner,
		"a slug of one character":    owner + "slug: a",
		"a slug of digits":           owner + `slug: "2026"`,
		"a title of many alphabets":  owner + "title: 'Ünïcode, 漢字 & 🎉'",
		"an owner with a plus":       "owner: {email: ann+notes@sub.example.org, name: 'Ann O’Neil'}",
		"a host":                     owner + "host: notes.example.org",
		"everything about access":    owner + "access: {signUp: Invite, emailDomains: [example.org, sub.example.org]}",
		"limits as numbers":          owner + "limits: {members: 1, notes: 1, bytes: 1, requestsPerMinute: 1}",
		"limits in words":            owner + "limits: {bytes: 5Gi}",
		"bytes with an exponent":     owner + "limits: {bytes: '5e9'}",
		"days":                       owner + "retention: {trashDays: 1, revisionDays: 3650}",
		"a dedicated stack":          owner + "isolation: Dedicated",
		"a dedicated stack in words": dedicated("profile: ha, resources: {user: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 2, memory: 1Gi}}}, storage: {className: fast, postgres: 20Gi, nats: 10Gi}"),
		"servers of one's own":       dedicated("postgres: {secretRef: {name: db}}, nats: {url: 'tls://nats.infra:4222', secretRef: {name: nats}}"),
		"no class of storage at all": dedicated("storage: {className: ''}"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := strictly(w.Client).Create(t.Context(), workspace(t, w.Namespace(t), "acme", spec)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatCannotChangeSaysWhyAndWhatToDo(t *testing.T) {
	t.Parallel()
	w := apitest.Start(t)
	for _, c := range []struct {
		changes  string
		from, to string
		says     string // empty: it may
	}{
		{changes: "the slug", from: owner + "slug: acme", to: owner + "slug: other", says: "slug is immutable"},
		{changes: "the slug, from the name", from: owner, to: owner + "slug: other", says: "make another NoteWorkspace instead"},
		{changes: "the slug, to the name", from: owner + "slug: other", to: owner, says: "slug is immutable"},
		{changes: "nothing: the slug is said that was the name", from: owner, to: owner + "slug: acme"},
		{changes: "the isolation", from: owner, to: owner + "isolation: Dedicated", says: "isolation is immutable"},
		{changes: "the isolation, back to what it is if not set", from: owner + "isolation: Dedicated", to: owner, says: "isolation is immutable"},
		{changes: "the size of a volume, up", from: dedicated("storage: {postgres: 1Gi}"), to: dedicated("storage: {postgres: 2048Mi}")},
		{changes: "the size of a volume, down", from: dedicated("storage: {postgres: 2Gi}"), to: dedicated("storage: {postgres: 1Gi}"), says: "postgres cannot shrink"},
		{changes: "the size of NATS's volume, down", from: dedicated("storage: {nats: 2Gi}"), to: dedicated("storage: {nats: 1Gi}"), says: "nats cannot shrink"},
		{changes: "the class of volumes", from: dedicated("storage: {className: a}"), to: dedicated("storage: {className: b}"), says: "className cannot be changed"},
		{changes: "what people may change", from: owner + "limits: {members: 9}", to: "owner: {email: bob@example.org}\ntitle: Bob's\nsuspended: true\ndeletionPolicy: Delete\nlimits: {members: 3}"},
	} {
		t.Run(c.changes, func(t *testing.T) {
			t.Parallel()
			ws := workspace(t, w.Namespace(t), "acme", c.from)
			if err := w.Client.Create(t.Context(), ws); err != nil {
				t.Fatal(err)
			}
			ws.Object["spec"] = workspace(t, "", "", c.to).Object["spec"]
			err := w.Client.Update(t.Context(), ws)
			switch {
			case c.says == "" && err != nil:
				t.Error(err)
			case c.says != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), c.says)):
				t.Errorf("nothing of %q in: %v", c.says, err)
			}
		})
	}
}
