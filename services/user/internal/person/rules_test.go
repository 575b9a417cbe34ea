package person_test

import (
	"strings"
	"testing"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/person"
)

func TestAddressesAreNormalised(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]person.Email{
		"ann@example.org":              "ann@example.org",
		"  Ann.Lee+notes@Example.ORG ": "ann.lee+notes@example.org",
		"ann@xn--bcher-kva.example":    "ann@xn--bcher-kva.example",
		"ÄNN@bücher.example":           "änn@bücher.example",
		"ann@localhost":                "ann@localhost",
		"o'hara@example.org":           "o'hara@example.org",
	} {
		got, err := person.ParseEmail(given)
		if err != nil || got != want {
			t.Errorf("ParseEmail(%q) = %q, %v; want %q", given, got, err, want)
		}
	}
}

func TestWhatIsNoAddressIsRefused(t *testing.T) {
	t.Parallel()
	for _, given := range []string{
		"", " ", "ann", "@example.org", "ann@", "ann@@example.org", "a@b@c", "ann lee@example.org", "ann@exa mple.org", "ann@example..org",
		".ann@example.org", "ann.@example.org", "ann@.org", "ann@org.", "ann\x00@example.org", "ann\n@example.org", "ann\u202e@example.org",
		"ann\u200b@example.org", "\"ann\"@example.org", "Ann <ann@example.org>", "ann@example.org,bob@example.org", "ann\xff@example.org",
		strings.Repeat("a", 65) + "@example.org", "ann@" + strings.Repeat("e", 250) + ".org",
	} {
		got, err := person.ParseEmail(given)
		if errs.CodeOf(err) != "invalid-email" || errs.As(err).Field != "email" {
			t.Errorf("ParseEmail(%q) = %q, %v; want invalid-email", given, got, err)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ given, want, code string }{
		{"  Ann Lee ", "Ann Lee", ""},
		{"李小龙", "李小龙", ""},
		{"👩‍👩‍👧 family", "👩‍👩‍👧 family", ""},
		{strings.Repeat("ä", 100), strings.Repeat("ä", 100), ""},
		{"", "", "name-missing"},
		{" \t ", "", "name-missing"},
		{"\u200d\u200c", "", "name-missing"},
		{strings.Repeat("ä", 101), "", "name-too-long"},
		{"Ann\nLee", "", "invalid-name"},
		{"Ann\x00", "", "invalid-name"},
		{"Ann\u202eeeL", "", "invalid-name"},
		{"Ann\u2066Lee\u2069", "", "invalid-name"},
		{"Ann\u2028Lee", "", "invalid-name"},
		{"Ann\xff", "", "invalid-name"},
		{"Ann\u200bLee", "", "invalid-name"},
	} {
		got, err := person.ParseName(c.given)
		if c.code == "" && (err != nil || string(got) != c.want) {
			t.Errorf("ParseName(%q) = %q, %v; want %q", c.given, got, err, c.want)
		}
		if c.code != "" && errs.CodeOf(err) != c.code {
			t.Errorf("ParseName(%q) = %q, %v; want %s", c.given, got, err, c.code)
		}
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	const email, name = person.Email("ann.lee@example.org"), person.Name("Annabel Lee Poe")
	for what, c := range map[string]struct{ given, code string }{
		"nine characters":           {"q7w2c3d4e", "password-too-short"},
		"ten characters":            {"q7w2c3d4e5", ""},
		"ten characters of a space": {"q7w2c3d4e ", ""},
		"nine emoji":                {strings.Repeat("🦊", 9), "password-too-short"},
		"64 emoji":                  {strings.Repeat("🦊", 64), ""},
		"128 emoji":                 {strings.Repeat("🦊", 128), ""},
		"129 emoji":                 {strings.Repeat("🦊", 129), "password-too-long"},
		"129 letters":               {strings.Repeat("ab1", 43), "password-too-long"},
		"1 kB":                      {strings.Repeat("x", 1024), "password-too-long"},
		"empty":                     {"", "password-too-short"},
		"a common one":              {"1234567890", "password-too-common"},
		"a common one, shouted":     {"QWERTYUIOP", "password-too-common"},
		"a common one with a space": {"1234567890 ", "password-too-common"},
		"the address":               {"Ann.Lee@example.org", "password-too-common"},
		"the name":                  {"annabel lee poe", "password-too-common"},
		"a sentence":                {"the owl of minerva", ""},
	} {
		err := person.CheckPassword("password", c.given, email, name)
		if c.code == "" && err != nil || c.code != "" && errs.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %q", what, err, c.code)
		}
		if err != nil && strings.Contains(err.Error(), c.given) && c.given != "" {
			t.Errorf("%s: the error repeats the password", what)
		}
	}
}

func TestTheCommonestPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	all := person.CommonPasswords()
	if len(all) < 3000 {
		t.Fatalf("only %d common passwords", len(all))
	}
	for _, p := range all {
		if err := person.CheckPassword("password", p, "ann@example.org", "Ann"); err == nil {
			t.Errorf("%q is allowed", p)
		}
	}
}

func reactivate(p *person.Person, by person.Actor) ([]person.Fact, error) {
	return p.Reactivate(by, person.Room{})
}

func TestOnlyTheOwnerAdministersAndStays(t *testing.T) {
	t.Parallel()
	owner := person.Actor{Person: person.Person{ID: "o", Role: person.Owner, Active: true}}
	member := person.Actor{Person: person.Person{ID: "m", Role: person.Member, Active: true}}
	acts := map[string]func(*person.Person, person.Actor) ([]person.Fact, error){
		"deactivate": (*person.Person).Deactivate,
		"reactivate": reactivate,
		"delete":     (*person.Person).Delete,
	}
	for name, act := range acts {
		other := member.Person
		if facts, err := act(&other, member); errs.CodeOf(err) != "owner-only" || facts != nil || other != member.Person {
			t.Errorf("%s by a member: %v, %v", name, facts, err)
		}
		self := owner.Person
		if facts, err := act(&self, owner); errs.CodeOf(err) != "owner-stays" || facts != nil || self != owner.Person {
			t.Errorf("%s of the owner: %v, %v", name, facts, err)
		}
	}
}

func TestChangesThatChangeNothingAreNoFacts(t *testing.T) {
	t.Parallel()
	owner := person.Actor{Person: person.Person{ID: "o", Role: person.Owner, Active: true}}
	p := person.Person{ID: "m", Name: "Mia", Role: person.Member, Active: true, Version: 1}
	if facts := p.Rename("Mia"); facts != nil {
		t.Errorf("the same name again: %v", facts)
	}
	if facts, err := p.Reactivate(owner, person.Room{Limit: 1, Taken: 1}); err != nil || facts != nil {
		t.Errorf("reactivating an active person: %v, %v", facts, err)
	}
	first, err := p.Deactivate(owner)
	if err != nil || len(first) != 2 || p.Version != 2 {
		t.Fatalf("deactivating: %v, %v, version %d", first, err, p.Version)
	}
	if again, err := p.Deactivate(owner); err != nil || again != nil || p.Version != 2 {
		t.Errorf("deactivating again: %v, %v, version %d", again, err, p.Version)
	}
}

func TestRoomIsNeededByWhoeverComesBack(t *testing.T) {
	t.Parallel()
	owner := person.Actor{Person: person.Person{ID: "o", Role: person.Owner, Active: true}}
	for room, code := range map[person.Room]string{
		{}: "", {Taken: 7}: "", {Limit: 8, Taken: 7}: "", {Limit: 7, Taken: 7}: "members-limit-reached", {Limit: 3, Taken: 7}: "members-limit-reached",
	} {
		p := person.Person{ID: "m", Role: person.Member, Version: 1}
		facts, err := p.Reactivate(owner, room)
		if code == "" && (err != nil || len(facts) != 1 || !p.Active) || code != "" && (errs.CodeOf(err) != code || facts != nil || p.Active) {
			t.Errorf("%+v: %v, %v, active %v; want %q", room, facts, err, p.Active, code)
		}
	}
}
