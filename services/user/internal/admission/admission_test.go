package admission_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/admission"
	"noteworks.dev/services/user/internal/person"
)

func TestWhoIsAdmitted(t *testing.T) {
	t.Parallel()
	const code = admission.Code("of an invitation")
	domains := []string{"example.com", "example.org"}
	full := person.Room{Limit: 2, Taken: 2}
	for name, c := range map[string]struct {
		entrance admission.Entrance
		code     admission.Code
		want     string
	}{
		"anybody":                           {admission.Entrance{Rules: admission.Rules{SignUp: admission.Open}}, "", ""},
		"someone of a domain":               {admission.Entrance{Rules: admission.Rules{SignUp: admission.Open, EmailDomains: domains}}, "", ""},
		"a stranger":                        {admission.Entrance{Rules: admission.Rules{SignUp: admission.Open, EmailDomains: domains[:1]}}, "", "email-domain-not-allowed"},
		"a stranger who guesses":            {admission.Entrance{Rules: admission.Rules{SignUp: admission.Open, EmailDomains: domains[:1]}}, code, "invitation-invalid"},
		"a stranger who is invited":         {admission.Entrance{Rules: admission.Rules{SignUp: admission.Open, EmailDomains: domains[:1]}, Invited: true}, code, ""},
		"anybody who guesses":               {admission.Entrance{Rules: admission.Rules{SignUp: admission.Open}}, code, "invitation-invalid"},
		"who is not invited":                {admission.Entrance{Rules: admission.Rules{SignUp: admission.Invited}}, "", "invitation-needed"},
		"who is invited":                    {admission.Entrance{Rules: admission.Rules{SignUp: admission.Invited}, Invited: true}, code, ""},
		"who is invited where all is taken": {admission.Entrance{Rules: admission.Rules{SignUp: admission.Invited}, Invited: true, Room: full}, code, "members-limit-reached"},
		"nobody":                            {admission.Entrance{Rules: admission.Rules{SignUp: admission.Closed}}, "", "sign-up-closed"},
		"nobody, guessing":                  {admission.Entrance{Rules: admission.Rules{SignUp: admission.Closed}}, code, "sign-up-closed"},
		"nobody, invited":                   {admission.Entrance{Rules: admission.Rules{SignUp: admission.Closed}, Invited: true}, code, "sign-up-closed"},
		"one too many":                      {admission.Entrance{Rules: admission.Rules{SignUp: admission.Open}, Room: full}, "", "members-limit-reached"},
	} {
		err := c.entrance.Admit(admission.Application{Email: "ann@example.org", Code: c.code})
		if c.want == "" && err != nil || c.want != "" && (errs.CodeOf(err) != c.want || errs.KindOf(err) != errs.KindForbidden) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestACodeHidesItself(t *testing.T) {
	t.Parallel()
	const code = admission.Code("whoever-has-it-may-join")
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("made", slog.Any("code", code))
	if said := fmt.Sprintf("%v %s", code, code) + log.String(); strings.Contains(said, "whoever") {
		t.Errorf("it says %s", said)
	}
}
