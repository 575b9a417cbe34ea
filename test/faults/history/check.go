package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Verdict counts what must not be, and tells of some of it.
type Verdict struct {
	// Lost were acknowledged and are not there, or are there and did not reach a reader. Doubled and Unordered reached a reader twice, or after a
	// newer one. Foreign was seen by somebody it is not for. Torn notes have no order in which all answers are right.
	Lost, Doubled, Unordered, Foreign, Torn int
	// Findings tell of the first of each.
	Findings []string
}

// Good says that nothing was found.
func (v *Verdict) Good() bool { return v.Lost+v.Doubled+v.Unordered+v.Foreign+v.Torn == 0 }

// Add sums up.
func (v *Verdict) Add(o Verdict) {
	v.Lost, v.Doubled, v.Unordered = v.Lost+o.Lost, v.Doubled+o.Doubled, v.Unordered+o.Unordered
	v.Foreign, v.Torn = v.Foreign+o.Foreign, v.Torn+o.Torn
	v.Findings = append(v.Findings, o.Findings...)
}

// mostFindings of a kind and note are told.
const mostFindings = 3

// find counts n things that must not be.
func (v *Verdict) find(counter *int, n int, format string, args ...any) {
	if *counter < mostFindings {
		v.Findings = append(v.Findings, fmt.Sprintf(format, args...))
	}
	*counter += n
}

// Check holds the history against the rules. The last read of each note is the end: every reader must have been shown what stood there then.
func (h *History) Check() Verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	var v Verdict
	for _, note := range slices.Sorted(maps.Keys(h.began)) {
		v.Add(h.checkNote(note))
	}
	for _, what := range h.missing {
		v.find(&v.Lost, 1, "%s", what)
	}
	v.Foreign = len(h.foreign)
	v.Findings = append(v.Findings, h.foreign[:min(len(h.foreign), mostFindings)]...)
	return v
}

func (h *History) checkNote(note string) Verdict {
	var v Verdict
	writes := slices.DeleteFunc(slices.Clone(h.writes), func(w Write) bool { return w.Note != note })
	reads := slices.DeleteFunc(slices.Clone(h.reads), func(r Read) bool { return r.Note != note })
	begin := register{h.began[note].Version, h.began[note].Body}
	if !linearizable(begin, writes, reads) {
		v.find(&v.Torn, 1, "note %s: there is no order in which all answers are right", note)
	}
	known := bodies(begin, writes, reads)
	last := end(begin, reads)
	for _, w := range writes {
		if w.Outcome == Acknowledged && w.Version > last.version {
			v.find(&v.Lost, 1, "note %s: version %d was acknowledged, and when it was read last it was at %d", note, w.Version, last.version)
		}
	}
	for p, from := range h.from {
		if p.note == note {
			h.checkReader(&v, p, from, last.version, known)
		}
	}
	return v
}

// bodies is what each version is known to say.
func bodies(begin register, writes []Write, reads []Read) map[int]string {
	known := map[int]string{begin.version: begin.body}
	for _, r := range reads {
		known[r.Version] = r.Body
	}
	for _, w := range writes {
		if w.Outcome == Acknowledged {
			known[w.Version] = w.Body
		}
	}
	return known
}

// end is the note as it was read last.
func end(begin register, reads []Read) register {
	if len(reads) == 0 {
		return begin
	}
	last := slices.MaxFunc(reads, func(a, b Read) int { return cmp.Compare(a.Begin, b.Begin) })
	return register{last.Version, last.Body}
}

// checkReader holds what a reader was shown of a note, after version from, against what there was to see until version last.
func (h *History) checkReader(v *Verdict, p place, from, last int, known map[int]string) {
	seen := from
	for _, f := range h.frames {
		if f.Reader != p.reader || f.Note != p.note {
			continue
		}
		if f.At == anew {
			seen = max(seen, f.Version)
			continue
		}
		switch {
		case f.Version == seen:
			v.find(&v.Doubled, 1, "%s: version %d of note %s came twice", p.reader, f.Version, p.note)
		case f.Version < seen:
			v.find(&v.Unordered, 1, "%s: version %d of note %s came after %d", p.reader, f.Version, p.note, seen)
		case f.Version > seen+1:
			v.find(&v.Lost, f.Version-seen-1, "%s: of note %s, version %d followed %d", p.reader, p.note, f.Version, seen)
		}
		if body, is := known[f.Version]; is && body != f.Body {
			v.find(&v.Lost, 1, "%s: version %d of note %s says %q; it was shown %q", p.reader, f.Version, p.note, body, f.Body)
		}
		seen = max(seen, f.Version)
	}
	if seen < last {
		v.find(&v.Lost, last-seen, "%s: of note %s, versions %d to %d were never shown", p.reader, p.note, seen+1, last)
	}
}
