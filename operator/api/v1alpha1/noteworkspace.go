package v1alpha1

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NoteWorkspace is a team's own place for notes that are shared live. Applying one gives the team a URL and its owner a way in.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=nw,categories={noteworks}
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Isolation",type=string,JSONPath=`.spec.isolation`
// +kubebuilder:printcolumn:name="Members",type=integer,JSONPath=`.status.usage.members`
// +kubebuilder:printcolumn:name="Notes",type=integer,JSONPath=`.status.usage.notes`
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:fieldPath=".spec.slug",rule="(has(self.spec.slug) ? self.spec.slug : self.metadata.name) == (has(oldSelf.spec.slug) ? oldSelf.spec.slug : self.metadata.name)",message="slug is immutable: people know the workspace by its address; make another NoteWorkspace instead"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="the name of a NoteWorkspace has at most 63 characters"
// +kubebuilder:validation:XValidation:fieldPath=".spec.slug",rule="(has(self.spec.slug) ? self.spec.slug : self.metadata.name).matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",message="a slug is lower-case letters, digits and inner hyphens, such as sales-emea; if it is not set, the name is the slug"
// +kubebuilder:validation:XValidation:fieldPath=".spec.slug",rule="!((has(self.spec.slug) ? self.spec.slug : self.metadata.name) in ['www','api','admin','app','auth','login','static','assets','cdn','mail','smtp','ftp','ns','ns1','ns2','live','status','health','metrics','internal','localhost','noteworks','operator','root','support','system'] || (has(self.spec.slug) ? self.spec.slug : self.metadata.name).startsWith('xn--'))",message="this slug is reserved for the platform: set spec.slug to another"
type NoteWorkspace struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What the workspace should be.
	Spec NoteWorkspaceSpec `json:"spec"`
	// What it is. Written by the operator alone.
	// +optional
	Status NoteWorkspaceStatus `json:"status,omitzero"`
}

// NoteWorkspaceList is many of them.
//
// +kubebuilder:object:root=true
type NoteWorkspaceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NoteWorkspace `json:"items"`
}

// NoteWorkspaceSpec is what people write.
//
// +kubebuilder:validation:XValidation:rule="self.isolation == oldSelf.isolation",message="isolation is immutable: the data would have to move; make another NoteWorkspace instead"
// +kubebuilder:validation:XValidation:rule="self.isolation == 'Dedicated' || !has(self.dedicated)",message="dedicated is for isolation: Dedicated; remove it, or set isolation to Dedicated"
type NoteWorkspaceSpec struct {
	// The first label of the workspace's address, <slug>.<base domain of the platform>: 1 to 63 lower-case letters, digits and inner hyphens.
	// The object's name if not set. Cannot be changed.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Slug string `json:"slug,omitempty"`

	// What people see; the slug if not set.
	// +optional
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="!self.matches('[[:cntrl:]]')",message="a title is one line"
	Title string `json:"title,omitempty"`

	// Who the workspace belongs to at first. Later changes are the people's own: this is only read while the workspace has no owner.
	Owner Owner `json:"owner"`

	// Shared puts the workspace into the platform's stack, beside others and walled off from them; Dedicated gives it user, note, gateway,
	// NATS and PostgreSQL of its own in this namespace. Cannot be changed.
	// +optional
	// +kubebuilder:default=Shared
	Isolation Isolation `json:"isolation,omitempty"`

	// One more complete host name that leads to the workspace, such as notes.example.org. Its DNS entry is up to you.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$')",message="a host is a complete domain name in lower case, such as notes.example.org"
	Host string `json:"host,omitempty"`

	// Who may join.
	// +optional
	Access Access `json:"access,omitzero"`

	// Bounds of what the workspace may hold and do; what is not set is unlimited. Lowering one takes nothing away: it lets nothing more in.
	// +optional
	Limits Limits `json:"limits,omitzero"`

	// How long what nobody looks at any more is kept.
	// +optional
	Retention Retention `json:"retention,omitzero"`

	// What happens to the data when this object is deleted. Retain, as if not set, keeps it until a NoteWorkspace of the same slug in the same
	// namespace takes it up again; Delete removes it for good.
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// Nobody comes in and nothing is lost: a shared workspace answers that it is suspended, a dedicated stack runs no pods.
	// +optional
	Suspended bool `json:"suspended,omitempty"`

	// How a dedicated stack is made. Only with isolation: Dedicated.
	// +optional
	Dedicated *Dedicated `json:"dedicated,omitempty"`
}

// Isolation is how far a workspace stands from others.
// +kubebuilder:validation:Enum=Shared;Dedicated
type Isolation string

// The isolations.
const (
	IsolationShared    Isolation = "Shared"
	IsolationDedicated Isolation = "Dedicated"
)

// DeletionPolicy is what becomes of the data.
// +kubebuilder:validation:Enum=Retain;Delete
type DeletionPolicy string

// The deletion policies.
const (
	DeletionRetain DeletionPolicy = "Retain"
	DeletionDelete DeletionPolicy = "Delete"
)

// Owner is the first person of a workspace. The password is generated once into the Secret <name>-owner, keys email, password and url.
type Owner struct {
	// The address to sign in with.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^@[:space:]]+@[^@[:space:]]+$')",message="an e-mail address such as ann@example.org"
	Email string `json:"email"`
	// What others see; Owner if not set.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="!self.matches('[[:cntrl:]]')",message="a name is one line"
	Name string `json:"name,omitempty"`
}

// Access is who may join.
type Access struct {
	// Open, as if not set: everybody who reaches the workspace. Invite: who was invited by its owner. Closed: nobody.
	// +optional
	SignUp SignUp `json:"signUp,omitempty"`
	// If not empty, only addresses of these domains may sign up without an invitation. Subdomains are domains of their own.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=50
	EmailDomains []EmailDomain `json:"emailDomains,omitempty"`
}

// SignUp says who may join.
// +kubebuilder:validation:Enum=Open;Invite;Closed
type SignUp string

// Who may join.
const (
	SignUpOpen   SignUp = "Open"
	SignUpInvite SignUp = "Invite"
	SignUpClosed SignUp = "Closed"
)

// EmailDomain is the part of an address behind the @.
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$')",message="a domain in lower case, such as example.org, without the @"
type EmailDomain string

// Limits bound a workspace.
//
// +kubebuilder:validation:XValidation:rule="!has(self.bytes) || (isQuantity(string(self.bytes)) && quantity(string(self.bytes)).isInteger() && quantity(string(self.bytes)).asInteger() > 0)",message="bytes is a positive whole number below 8Ei, such as 5Gi"
type Limits struct {
	// Active people.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Members *int32 `json:"members,omitempty"`
	// Notes outside the trash.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Notes *int32 `json:"notes,omitempty"`
	// Bytes of all notes' bodies, such as 5Gi. The trash counts, earlier versions do not.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	Bytes *resource.Quantity `json:"bytes,omitempty"`
	// Requests that each of the platform's gateway pods lets through in a minute.
	// +optional
	// +kubebuilder:validation:Minimum=1
	RequestsPerMinute *int32 `json:"requestsPerMinute,omitempty"`
}

// Retention is how long what nobody looks at any more is kept.
type Retention struct {
	// Days that a note stays in the trash. The platform's default if not set.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3650
	TrashDays *int32 `json:"trashDays,omitempty"`
	// Days that earlier versions of a note stay. For as long as the note if not set.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3650
	RevisionDays *int32 `json:"revisionDays,omitempty"`
}

// Dedicated is how a stack of one's own is made.
//
// +kubebuilder:validation:XValidation:rule="!has(self.postgres) || !has(self.postgres.secretRef) || !has(self.storage) || !has(self.storage.postgres)",message="storage.postgres is for the stack's own PostgreSQL: remove it, or postgres.secretRef"
// +kubebuilder:validation:XValidation:rule="!has(self.nats) || !has(self.storage) || !has(self.storage.nats)",message="storage.nats is for the stack's own NATS: remove it, or nats"
type Dedicated struct {
	// dev: one pod of everything, small. small, as if not set: two pods of each service. ha: three of everything, on three nodes.
	// +optional
	Profile Profile `json:"profile,omitempty"`
	// What each pod of a service asks for and may use, instead of the profile's.
	// +optional
	Resources ServiceResources `json:"resources,omitzero"`
	// Sizes of the volumes. They can grow where the storage class allows it.
	// +optional
	Storage Storage `json:"storage,omitzero"`
	// A PostgreSQL of your own instead of one in the stack.
	// +optional
	Postgres *ExternalPostgres `json:"postgres,omitempty"`
	// A NATS of your own, with JetStream, instead of one in the stack.
	// +optional
	NATS *ExternalNATS `json:"nats,omitempty"`
}

// Profile is a size of a stack.
// +kubebuilder:validation:Enum=dev;small;ha
type Profile string

// The profiles.
const (
	ProfileDev   Profile = "dev"
	ProfileSmall Profile = "small"
	ProfileHA    Profile = "ha"
)

// ServiceResources is what the pods of each service ask for and may use.
type ServiceResources struct {
	// Of the service that knows people and workspaces.
	// +optional
	User *Resources `json:"user,omitempty"`
	// Of the service that keeps the notes.
	// +optional
	Note *Resources `json:"note,omitempty"`
	// Of the public door, which browsers are connected to.
	// +optional
	Gateway *Resources `json:"gateway,omitempty"`
}

// Resources is requests and limits of a container.
type Resources struct {
	// What the scheduler sets aside, by name: cpu, memory.
	// +optional
	// +kubebuilder:validation:MaxProperties=2
	// +kubebuilder:validation:XValidation:rule="self.all(r, r in ['cpu', 'memory'] && isQuantity(string(self[r])) && quantity(string(self[r])).isGreaterThan(quantity('0')) && quantity(string(self[r])).isLessThan(quantity('1P')))",message="cpu and memory, each positive, such as 500m and 512Mi"
	Requests corev1.ResourceList `json:"requests,omitempty"`
	// What may not be exceeded, by name: cpu, memory.
	// +optional
	// +kubebuilder:validation:MaxProperties=2
	// +kubebuilder:validation:XValidation:rule="self.all(r, r in ['cpu', 'memory'] && isQuantity(string(self[r])) && quantity(string(self[r])).isGreaterThan(quantity('0')) && quantity(string(self[r])).isLessThan(quantity('1P')))",message="cpu and memory, each positive, such as 500m and 512Mi"
	Limits corev1.ResourceList `json:"limits,omitempty"`
}

// Storage is sizes of volumes.
//
// +kubebuilder:validation:XValidation:rule="!has(self.postgres) || (isQuantity(string(self.postgres)) && quantity(string(self.postgres)).isInteger() && quantity(string(self.postgres)).asInteger() > 0)",message="postgres is a positive whole number of bytes below 8Ei, such as 20Gi"
// +kubebuilder:validation:XValidation:rule="!has(self.nats) || (isQuantity(string(self.nats)) && quantity(string(self.nats)).isInteger() && quantity(string(self.nats)).asInteger() > 0)",message="nats is a positive whole number of bytes below 8Ei, such as 10Gi"
// +kubebuilder:validation:XValidation:rule="!has(self.postgres) || !has(oldSelf.postgres) || quantity(string(self.postgres)).compareTo(quantity(string(oldSelf.postgres))) >= 0",message="postgres cannot shrink: a volume only grows"
// +kubebuilder:validation:XValidation:rule="!has(self.nats) || !has(oldSelf.nats) || quantity(string(self.nats)).compareTo(quantity(string(oldSelf.nats))) >= 0",message="nats cannot shrink: a volume only grows"
// +kubebuilder:validation:XValidation:rule="has(self.className) == has(oldSelf.className) && (!has(self.className) || self.className == oldSelf.className)",message="className cannot be changed: a volume stays in the class it was made in"
type Storage struct {
	// The storage class of all volumes; the cluster's default if not set.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ClassName *string `json:"className,omitempty"`
	// PostgreSQL's volume, such as 20Gi.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	Postgres *resource.Quantity `json:"postgres,omitempty"`
	// NATS's volume, such as 10Gi.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	NATS *resource.Quantity `json:"nats,omitempty"`
}

// SecretReference names a Secret in the object's namespace.
type SecretReference struct {
	// Of the Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// ExternalPostgres is a database server of one's own.
type ExternalPostgres struct {
	// A Secret in this namespace with the keys user-url, user-migrate-url, note-url and note-migrate-url: for each service the URL of a role that serves
	// and owns nothing, and of the role that owns the tables.
	SecretRef SecretReference `json:"secretRef"`
}

// ExternalNATS is a NATS of one's own.
type ExternalNATS struct {
	// Such as nats://nats.infra:4222.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^(nats|tls)://[^/@[:space:]]+$')",message="a URL such as nats://nats.infra:4222, without a password"
	URL string `json:"url"`
	// A Secret in this namespace with the keys user, note and gateway: the passwords of the NATS users of these names.
	SecretRef SecretReference `json:"secretRef"`
}

// NoteWorkspaceStatus is what the operator answers.
type NoteWorkspaceStatus struct {
	// The generation of spec that conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Ready, and what it is made of: StackReady, Registered, Routed.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Where people go.
	// +optional
	URL string `json:"url,omitempty"`
	// What the workspace is known by in tokens, events and tables. The object's UID, unless it took up what another left.
	// +optional
	WorkspaceID string `json:"workspaceID,omitempty"`
	// The Secret with the owner's first sign-in.
	// +optional
	OwnerSecret string `json:"ownerSecret,omitempty"`
	// The version of the platform that a dedicated stack runs.
	// +optional
	StackVersion string `json:"stackVersion,omitempty"`
	// What the workspace holds.
	// +optional
	Usage *Usage `json:"usage,omitempty"`
	// The trace of the last reconcile that changed something.
	// +optional
	LastTraceID string `json:"lastTraceID,omitempty"`
}

// Usage is what a workspace holds.
type Usage struct {
	// Active people.
	Members int32 `json:"members"`
	// Notes outside the trash.
	Notes int32 `json:"notes"`
	// Bytes of all notes' bodies.
	Bytes int64 `json:"bytes"`
}

// Types of conditions. Each is there from the first reconcile on.
const (
	ConditionReady      = "Ready"
	ConditionStackReady = "StackReady"
	ConditionRegistered = "Registered"
	ConditionRouted     = "Routed"
)

// SlugOrName is the first label of the workspace's address.
func (w *NoteWorkspace) SlugOrName() string {
	return cmp.Or(w.Spec.Slug, w.Name)
}

// NameOrDefault is what others see of an owner at first. It is not stored as a default: a spec holds what people wrote.
func (o Owner) NameOrDefault() string {
	return cmp.Or(o.Name, "Owner")
}
