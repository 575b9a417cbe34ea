package live

import "time"

// Event is a fact as the hub needs it.
type Event struct {
	Stream   Stream
	Lane     int
	Position int64
	// Outbox is where the whole outbox stood after this event.
	Outbox Place

	ID, Type, Workspace string
	Time                time.Time
	// Audience is who may see the event, in the order of their ids and each once; Everyone the whole workspace. With neither, no browser does.
	Audience []string
	Everyone bool
	// Data is the event's message in JSON, as browsers get it.
	Data []byte

	// Note is the note that the event is about, if any; Withdrawn says from whom it is taken away.
	Note      string
	Withdrawn Withdrawal
	// Ended is what the event does to sessions; nil is nothing.
	Ended *Ending
	// Suspended says whether the workspace is, from this event on; nil is that the event does not say.
	Suspended *bool
}

// Withdrawal is from whom a note is taken: from one person, or from all but one. The zero value takes nothing.
type Withdrawal struct {
	From   string
	AllBut string
}

func (w Withdrawal) hits(person string) bool {
	return w.From == person || w.AllBut != "" && w.AllBut != person
}

// Ending is which sessions an event ends: those of Person in Sessions, or all of them but Keep when Sessions is empty. Without a Person
// it is every session of the workspace. Sessions that began after the event are not meant.
type Ending struct {
	Person   string
	Sessions []string
	Keep     string
}

// forBrowsers reports whether anyone may be sent the event.
func (e *Event) forBrowsers() bool { return e.Everyone || len(e.Audience) > 0 }

// valid reports whether the event stands where an event can stand.
func (e *Event) valid() bool {
	return int(e.Stream) < streams && e.Lane >= 0 && e.Lane < Lanes && e.Position > 0
}
