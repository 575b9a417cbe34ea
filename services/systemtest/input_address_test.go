package systemtest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestNoOperationTakesAnotherSpellingOfAnID walks every parameter of every path.
func TestNoOperationTakesAnotherSpellingOfAnID(t *testing.T) {
	t.Parallel()
	a := attack(t)
	for _, o := range a.operations {
		for _, p := range o.params {
			if p.In != "path" {
				continue
			}
			for what, id := range spellings(a.ids[p.Name]) {
				l := a.good(o)
				l.path = strings.Replace(o.path, "{"+p.Name+"}", "\x00", 1)
				l.path = strings.ReplaceAll(operation{path: l.path, params: o.params}.at(a.ids), "\x00", id)
				a.requireRefusal(fmt.Sprintf("%s: %s in the place of %s", o.id, what, p.Name), a.send(a.ann.Token(), l), http.StatusNotFound, http.StatusBadRequest)
			}
		}
	}
	a.requireUnharmed()
}

// spellings are of id, or of nothing; none of them is the one that id has.
func spellings(id string) map[string]string {
	all := map[string]string{
		"nothing": "", "an id in braces": "{" + id + "}", "a URN": "urn:uuid:" + id, "a space after it": id + "%20", "a space before it": "%20" + id,
		"a line after it": id + "%0a", "NUL": "%00", "NUL after it": id + "%00", "it before NUL": "%00" + id, "a dot": ".", "two dots": "..", "two dots, escaped": "%2e%2e",
		"two dots, half escaped": ".%2e", "two dots, escaped twice": "%252e%252e", "a way up": "../" + id, "a way up and down": id + "/../" + id, "an escaped way up": "..%2f" + id,
		"a way out": "%2e%2e%2f%2e%2e%2fme", "a way out, the other slash": "..%5c..%5cme", "two slashes": "/" + id, "a slash after it": id + "/", "a dot after it": id + ".",
		"an extension": id + ".json", "a parameter": id + ";a=b", "it escaped": "%" + fmt.Sprintf("%02x", id[0]) + id[1:], "SQL": "%27%20or%20%271%27=%271", "SQL after it": id + "%27--",
		"a word": "null", "another": "undefined", "a star": "*", "all that follows": ">", "a subject": "a.b", "no UTF-8": "%ff", "a percent sign": "%25", "a format": "%25s%25n",
		"no UUID": "00000000-0000-0000-0000-000000000000", "the last UUID": "ffffffff-ffff-ffff-ffff-ffffffffffff", "a number": "0", "below": "-1", "a fraction": "1.5",
		"an exponent": "1e0", "a hex number": "0x1", "a sign": "%2B1", "a zero before it": "01", "a huge number": "99999999999999999999", "an Arabic number": "%D9%A1",
		"full width": "%EF%BC%91", "1 kB": strings.Repeat("a", 1<<10), "8 kB": strings.Repeat("a", 8<<10), "a route's name": "restore", "brackets": "[]", "an at sign": "@" + id,
	}
	if strings.Contains(id, "-") {
		all["no hyphens"] = strings.ReplaceAll(id, "-", "")
		all["capitals"] = strings.ToUpper(id)
		all["one digit less"], all["one digit more"] = id[:len(id)-1], id+"0"
	}
	return all
}

// TestNoOperationTakesABadParameter walks every parameter of every query, and every header that an operation reads.
func TestNoOperationTakesABadParameter(t *testing.T) {
	t.Parallel()
	a := attack(t)
	seen := 0
	for _, o := range a.operations {
		for _, p := range o.params {
			seen++
			switch p.In {
			case "query":
				for what, value := range badParameters(p) {
					l := a.good(o)
					l.path += "?" + value
					a.requireRefusal(fmt.Sprintf("%s: %s as %s", o.id, p.Name, what), a.send(a.ann.Token(), l), http.StatusBadRequest)
				}
			case "header":
				for what, values := range badHeaders()[p.Name] {
					a.requireRefusal(fmt.Sprintf("%s: %s as %s", o.id, p.Name, what), a.send(a.ann.Token(), a.good(o).with(p.Name, values...)), http.StatusBadRequest)
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d parameters were seen", seen)
	}
	a.requireUnharmed()
}

// badParameters are queries that give p in a way that it must not be given.
func badParameters(p parameter) map[string]string {
	n := p.Name + "="
	bad := map[string]string{
		"given twice": n + "1&" + n + "1", "given twice, once escaped": n + "1&%" + fmt.Sprintf("%02x", p.Name[0]) + p.Name[1:] + "=1", "NUL": n + "%00", "no UTF-8": n + "%ff",
		"half an escape": n + "%", "a wrong escape": n + "%zz", "a semicolon": n + "1;2", "another before it, twice": "a=1&a=2&" + n + "1",
	}
	switch {
	case p.Schema.is() == "integer":
		for what, value := range map[string]string{
			"nothing": "", "a word": "x", "a fraction": "1.5", "an exponent": "1e1", "a hex number": "0x10", "a space": "+5", "a list": "1,2", "NaN": "NaN",
			"a huge number": "99999999999999999999", "a billion": "1000000000", "below": "-1", "an Arabic number": "%D9%A1",
		} {
			bad[what] = n + value
		}
		if s := p.Schema; s.Minimum != nil {
			bad["one too small"] = n + fmt.Sprint(*s.Minimum-1)
		}
		if s := p.Schema; s.Maximum != nil {
			bad["one too large"] = n + fmt.Sprint(*s.Maximum+1)
		}
	case p.Schema.is() == "boolean":
		bad["nothing"], bad["a word"], bad["a number"], bad["a list"] = n, n+"maybe", n+"2", n+"true,false"
	case len(p.Schema.Enum) > 0:
		bad["nothing"], bad["another word"], bad["capitals"], bad["a list"] = n, n+"everything", n+strings.ToUpper(p.Schema.Enum[0]), n+p.Schema.Enum[0]+","
	case p.Name == "cursor":
		for what, value := range map[string]string{
			"nothing": "", "a word": "x", "a way up": "../..", "base64 of nothing": "AA", "padded": "AAAA=", "long": strings.Repeat("A", 1025), "of zeros": strings.Repeat("A", 55), "SQL": "%27--",
		} {
			bad[what] = n + value
		}
	}
	if s := p.Schema; s.MaxLength != nil {
		bad["a text that is too long"] = n + strings.Repeat("x", *s.MaxLength+1)
	}
	return bad
}

// badHeaders are values that the headers of the OpenAPI files must not have. A condition on reading that nobody understands is no reason not to read.
func badHeaders() map[string]map[string][]string {
	return map[string]map[string][]string{
		"If-Match": {
			"nothing": {""}, "a number": {"2"}, "a weak tag": {`W/"2"`}, "anything": {"*"}, "two tags": {`"2", "3"`}, "two headers": {`"2"`, `"2"`}, "a zero before": {`"02"`},
			"a sign": {`"+2"`}, "below": {`"-1"`}, "zero": {`"0"`}, "a huge number": {`"99999999999"`}, "a word": {`"x"`}, "half": {`"2`}, "spaces": {`" 2 "`}, "no UTF-8": {"\"\xff\""},
			"SQL": {`"2' or '1'='1"`}, "8 kB": {`"` + strings.Repeat("2", 8<<10) + `"`},
		},
		"Idempotency-Key": {
			"nothing": {""}, "two": {"a", "b"}, "the same twice": {"a", "a"}, "256 characters": {strings.Repeat("a", 256)}, "no ASCII": {"ä"}, "a tab": {"a\tb"}, "no UTF-8": {"\xff"},
		},
	}
}
