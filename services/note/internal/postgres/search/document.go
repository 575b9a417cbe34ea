package search

import (
	"strconv"
	"strings"
)

const (
	// maxDocument bounds a tsvector in bytes, as PostgreSQL stores it: it refuses one over 1 MB. A note that says more than this is found by its beginning.
	maxDocument = 512 << 10
	// maxPlaces is how often one term counts towards the rank. PostgreSQL keeps 255.
	maxPlaces = 32
	// maxPosition is PostgreSQL's.
	maxPosition = 16383
)

// Document is the tsvector of a note, as a literal: the title weighs most (A), then the tags (B), then the body (C).
func Document(title string, tags []string, body string) string {
	d := document{terms: map[string]*term{}}
	d.add('A', title)
	for _, t := range tags {
		d.add('B', t)
	}
	d.add('C', body)
	return d.literal()
}

type document struct {
	terms    map[string]*term
	order    []*term
	position int
	size     int
}

type term struct {
	text   string
	places []place
}

type place struct {
	position int
	weight   byte
}

func (d *document) add(weight byte, text string) {
	words(Fold(text), func(word []rune, pairs bool) bool {
		if !pairs {
			d.put(weight, cut(word))
			return d.size < maxDocument
		}
		for i := range word {
			d.put(weight, string(word[i:min(i+2, len(word))])) // the last stands alone, so that each begins a term
		}
		return d.size < maxDocument
	})
}

func (d *document) put(weight byte, text string) {
	if d.size >= maxDocument {
		return
	}
	d.position = min(d.position+1, maxPosition)
	t := d.terms[text]
	if t == nil {
		t = &term{text: text}
		d.terms[text] = t
		d.order = append(d.order, t)
		d.size += len(text) + 8
	}
	if len(t.places) < maxPlaces {
		t.places = append(t.places, place{d.position, weight})
		d.size += 2
	}
}

func (d *document) literal() string {
	var b strings.Builder
	b.Grow(d.size * 2)
	for i, t := range d.order {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("'" + t.text + "'")
		for j, p := range t.places {
			b.WriteByte(":,"[min(j, 1)])
			b.WriteString(strconv.Itoa(p.position))
			b.WriteByte(p.weight)
		}
	}
	return b.String()
}
