// Package report tells results: as a table on a terminal, as Markdown between the markers of a document, and as curves in SVG.
// Imports measure and the standard library.
package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"noteworks.dev/test/load/measure"
)

// cells is the result as rows of text, the titles first.
func cells(r *measure.Result) [][]string {
	head := []string{""}
	for _, c := range r.Columns {
		head = append(head, c.Title)
	}
	all := [][]string{head}
	for _, row := range r.Rows {
		line := []string{row.Label}
		for _, c := range r.Columns {
			line = append(line, c.Cell(row))
		}
		all = append(all, line)
	}
	return all
}

// Text writes the result for a terminal.
func Text(w io.Writer, r *measure.Result) {
	all := cells(r)
	width := make([]int, len(all[0]))
	for _, line := range all {
		for i, cell := range line {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	_, _ = fmt.Fprintf(w, "\n%s\n\n", r.Title)
	for _, line := range all {
		for i, cell := range line {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				_, _ = fmt.Fprint(w, cell, pad)
			} else {
				_, _ = fmt.Fprint(w, "  ", pad, cell)
			}
		}
		_, _ = fmt.Fprintln(w)
	}
	if v := r.Verdict; v.Written > 0 {
		_, _ = fmt.Fprintf(w, "\nwritten %d · seen %d · lost %d · doubled %d · out of order %d · failed %d\n",
			v.Written, v.Seen, v.Lost, v.Doubled, v.Inverted, v.Failed)
	}
}

// Markdown is the result as a table of a document.
func Markdown(r *measure.Result) string {
	var b strings.Builder
	for i, line := range cells(r) {
		b.WriteString("| " + strings.Join(line, " | ") + " |\n")
		if i == 0 {
			b.WriteString("| ---" + strings.Repeat(" | ---:", len(line)-1) + " |\n")
		}
	}
	return b.String()
}

// Wrapped is a paragraph in lines of a document, none longer than it has to be.
func Wrapped(text string) string {
	const longest = 150
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case column == 0:
		case column+1+n > longest:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String() + "\n"
}

// Between replaces what stands between the markers of a name in a document: <!-- name --> and <!-- /name -->.
func Between(document, name, text string) (string, error) {
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	before, rest, ok := strings.Cut(document, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("the document has no place for %s: it needs %q and %q", name, strings.TrimSpace(begin), end)
	}
	return before + begin + text + end + after, nil
}
