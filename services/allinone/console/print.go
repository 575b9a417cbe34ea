package console

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// table is rows whose columns are aligned.
type table struct{ lines []string }

func newTable(heads ...string) *table {
	t := &table{}
	if len(heads) > 0 {
		t.lines = append(t.lines, strings.Join(heads, "\t"))
	}
	return t
}

// row adds one. What is empty is a dash, so that columns can be told apart by programs, too.
func (t *table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		if texts[i] = printable(fmt.Sprint(cell)); texts[i] == "" {
			texts[i] = "-"
		}
	}
	t.lines = append(t.lines, strings.Join(texts, "\t"))
}

func (t *table) print(w io.Writer) {
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range t.lines {
		say(aligned, "%s\n", line)
	}
	_ = aligned.Flush() // as say: there is nothing to do when nobody reads it
}

// printable is text that does nothing to a terminal, and keeps to its line.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
}

// short is the beginning of a long text.
func short(text string) string {
	const most = 60
	if letters := []rune(text); len(letters) > most {
		return string(letters[:most-1]) + "…"
	}
	return text
}

// clock is a time to the second.
func clock(at *timestamppb.Timestamp) string {
	if at == nil {
		return ""
	}
	return at.AsTime().UTC().Format(time.RFC3339)
}

// printJSON prints one message.
func printJSON(w io.Writer, m proto.Message) error {
	raw, err := rawOf(m)
	if err != nil {
		return err
	}
	return indented(w, raw)
}

// printList prints messages as one array.
func printList[M proto.Message](w io.Writer, all []M) error {
	list := make([]json.RawMessage, len(all))
	for i, m := range all {
		var err error
		if list[i], err = rawOf(m); err != nil {
			return err
		}
	}
	return indented(w, list)
}

func rawOf(m proto.Message) (json.RawMessage, error) {
	raw, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("print: %w", err)
	}
	return raw, nil
}

func indented(w io.Writer, what any) error {
	content, err := json.MarshalIndent(what, "", "  ")
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	say(w, "%s\n", content)
	return nil
}
