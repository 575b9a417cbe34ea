package workspace

import (
	"slices"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/admission"
)

const (
	maxDomains = 50
	maxDays    = 3650
)

// Policy is what a workspace allows. Each part is kept to by the service that it is about.
type Policy struct {
	Admission admission.Rules
	Limits    Limits
	Retention Retention
	// Suspended: nobody comes in and nothing is lost.
	Suspended bool
}

// Limits bound a workspace; 0 is no limit.
type Limits struct {
	Members, Notes    int32
	Bytes             int64
	RequestsPerMinute int32
}

// Retention is how many days the note service keeps what nobody looks at any more; 0 leaves it to that.
type Retention struct {
	TrashDays, RevisionDays int32
}

// checked is p in its one spelling: domains in order, each once.
func (p Policy) checked() (Policy, error) {
	if p.Admission.SignUp == "" {
		p.Admission.SignUp = admission.Open
	}
	p.Admission.EmailDomains = slices.Compact(slices.Sorted(slices.Values(p.Admission.EmailDomains)))
	if err := checkAdmission(p.Admission); err != nil {
		return Policy{}, err
	}
	for _, n := range []struct {
		field    string
		is, most int64 // most 0 is any
	}{
		{"limits.members", int64(p.Limits.Members), 0},
		{"limits.notes", int64(p.Limits.Notes), 0},
		{"limits.bytes", p.Limits.Bytes, 0},
		{"limits.requests_per_minute", int64(p.Limits.RequestsPerMinute), 0},
		{"retention.trash_days", int64(p.Retention.TrashDays), maxDays},
		{"retention.revision_days", int64(p.Retention.RevisionDays), maxDays},
	} {
		switch {
		case n.is < 0:
			return Policy{}, invalidPolicy(n.field, "It is %d and should be 0 or more.", n.is)
		case n.most > 0 && n.is > n.most:
			return Policy{}, invalidPolicy(n.field, "It is %d and should be at most %d.", n.is, n.most)
		}
	}
	return p, nil
}

func checkAdmission(r admission.Rules) error {
	switch r.SignUp {
	case admission.Open, admission.Invited, admission.Closed:
	default:
		return invalidPolicy("sign_up", "%q is not a way to sign up.", r.SignUp)
	}
	if len(r.EmailDomains) > maxDomains {
		return invalidPolicy("email_domains", "There are %d domains; %d is the most.", len(r.EmailDomains), maxDomains)
	}
	for _, d := range r.EmailDomains {
		if !domain(d) {
			return invalidPolicy("email_domains", "%.100q is not a domain in lower case, such as example.org.", d)
		}
	}
	return nil
}

func invalidPolicy(field, format string, a ...any) error {
	return errs.Invalid("invalid-policy", format, a...).WithField("policy." + field)
}

// same reports whether both allow the same.
func (p Policy) same(q Policy) bool {
	return p.Admission.SignUp == q.Admission.SignUp && slices.Equal(p.Admission.EmailDomains, q.Admission.EmailDomains) &&
		p.Limits == q.Limits && p.Retention == q.Retention && p.Suspended == q.Suspended
}
