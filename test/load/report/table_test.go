package report

import (
	"strings"
	"testing"

	"noteworks.dev/test/load/measure"
)

func result() *measure.Result {
	return &measure.Result{
		Title:   "Rates",
		Columns: []measure.Column{{Key: "p50", Title: "p50", Format: "%.1f"}, {Key: "cpu", Title: "CPU", Format: "%.0f"}},
		Rows: []measure.Row{
			{Label: "500", Values: map[string]float64{"p50": 1.25, "cpu": 300}},
			{Label: "1,000", Values: map[string]float64{"p50": 10}},
		},
		Verdict: measure.Verdict{Written: 5, Seen: 4, Lost: 1},
	}
}

func TestTheTerminalsColumnsStandBelowEachOther(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	Text(&b, result())
	want := `
Rates

        p50  CPU
500     1.2  300
1,000  10.0    –

written 5 · seen 4 · lost 1 · doubled 0 · out of order 0 · failed 0
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	want := `|  | p50 | CPU |
| --- | ---: | ---: |
| 500 | 1.2 | 300 |
| 1,000 | 10.0 | – |
`
	if got := Markdown(result()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBetweenReplacesWhatStandsBetweenTheMarkers(t *testing.T) {
	t.Parallel()
	document := "a\n<!-- one -->\nold\n<!-- /one -->\nb\n<!-- two -->\n<!-- /two -->\n"
	got, err := Between(document, "one", "new\n")
	if want := "a\n<!-- one -->\nnew\n<!-- /one -->\nb\n<!-- two -->\n<!-- /two -->\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := Between(document, "three", ""); err == nil {
		t.Error("a document without the place was taken")
	}
}

func TestAParagraphIsWrappedAtWords(t *testing.T) {
	t.Parallel()
	text := strings.TrimSpace(strings.Repeat("a word and another ", 30))
	got := Wrapped(text)
	if strings.Join(strings.Fields(got), " ") != text || !strings.HasSuffix(got, "\n") {
		t.Errorf("got %q", got)
	}
	for line := range strings.Lines(got) {
		if len(line) > 151 || strings.HasPrefix(line, " ") {
			t.Errorf("the line %q", line)
		}
	}
}
