package httpserver

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"noteworks.dev/services/internal/errs"
)

const (
	maxDepth = 32
	// hardLimit holds where a caller forgot to limit the reader; Server limits every body far below it.
	hardLimit = 16 << 20
)

// DecodeJSON reads exactly one JSON value from body into the value that into points to, and takes no liberties: unknown and duplicate
// members, null anywhere, invalid UTF-8 and lone surrogates, NUL in a string, a byte order mark, more than 32 levels, anything after the value and
// names in another case are refused, each as errs.Invalid "invalid-json" ("unknown-field" for the first) with the path of the
// field. A body over the server's limit is errs.TooLarge "body-too-large".
//
// into may be half filled when an error is returned.
func DecodeJSON(body io.Reader, into any) error {
	text, err := readBody(body)
	if err != nil {
		return err
	}
	if err := inspect(text); err != nil {
		return err
	}
	if err := json.Unmarshal(text, into, json.RejectUnknownMembers(true)); err != nil {
		return refusedJSON(err)
	}
	return nil
}

func readBody(body io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(body, hardLimit+1))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, bodyTooLarge(over.Limit)
	case err != nil:
		return nil, errs.Invalid("invalid-json", "The body ended before it was complete.").WithCause(err)
	case len(text) > hardLimit:
		return nil, bodyTooLarge(hardLimit)
	case len(bytes.TrimSpace(text)) == 0:
		return nil, errs.Invalid("invalid-json", "The body is empty; it should be JSON.")
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		return nil, errs.Invalid("invalid-json", "The body begins with a byte order mark.")
	}
	return text, nil
}

// inspect reads text token by token for what its Go type would let pass, and for all that is no JSON.
func inspect(text []byte) error {
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	for {
		token, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return refusedJSON(err)
		}
		if err := acceptable(dec, token); err != nil {
			return err
		}
		if dec.StackDepth() == 0 {
			return onlyOne(dec)
		}
	}
}

func acceptable(dec *jsontext.Decoder, token jsontext.Token) error {
	switch {
	case dec.StackDepth() > maxDepth:
		return errs.Invalid("invalid-json", "The body is nested more than %d levels deep.", maxDepth)
	case token.Kind() == 'n':
		return errs.Invalid("invalid-json", "null is not a value here; leave the field out.").WithField(path(dec.StackPointer()))
	case token.Kind() == '"' && strings.ContainsRune(token.String(), 0):
		return errs.Invalid("invalid-json", "A text must not hold the NUL character.").WithField(path(dec.StackPointer()))
	case token.Kind() == '0' && math.IsInf(number(token), 0):
		return errs.Invalid("invalid-json", "The number is too large.").WithField(path(dec.StackPointer()))
	}
	return nil
}

// number is the token's value, infinite when no float64 holds it.
func number(token jsontext.Token) float64 {
	f, err := strconv.ParseFloat(token.String(), 64)
	if err != nil {
		return math.Inf(1)
	}
	return f
}

func onlyOne(dec *jsontext.Decoder) error {
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errs.Invalid("invalid-json", "There is something after the JSON value.")
	}
	return nil
}

// refusedJSON says in our words what the library found, without its Go types.
func refusedJSON(err error) error {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntactic):
		return refusedSyntax(syntactic, err)
	case errors.As(err, &semantic):
		return refusedMeaning(semantic, err)
	}
	return errs.Invalid("invalid-json", "The body is not JSON.").WithCause(err)
}

func refusedSyntax(found *jsontext.SyntacticError, cause error) error {
	field := path(found.JSONPointer)
	detail := "The body is not valid JSON, at byte " + strconv.FormatInt(found.ByteOffset, 10) + "."
	switch {
	case errors.Is(found, jsontext.ErrDuplicateName):
		detail = "The field is given twice."
	case errors.Is(found, io.ErrUnexpectedEOF):
		detail = "The body ends in the middle."
	default:
		field = ""
	}
	return errs.Invalid("invalid-json", "%s", detail).WithField(field).WithCause(cause)
}

func refusedMeaning(found *json.SemanticError, cause error) error {
	field := path(found.JSONPointer)
	if errors.Is(found, json.ErrUnknownName) {
		return errs.Invalid("unknown-field", "There is no such field.").WithField(field).WithCause(cause)
	}
	return errs.Invalid("invalid-json", "The value should be %s.", wanted(found.GoType)).WithField(field).WithCause(cause)
}

// wanted is a Go type in a caller's words.
func wanted(t reflect.Type) string {
	if t == nil {
		return "something else"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number in range"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number in range, not negative"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "a text"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		if t.PkgPath() == "time" {
			return "a time such as 2006-01-02T15:04:05Z"
		}
		return "an object"
	}
	return "something else"
}

// path writes a JSON pointer as people write fields: /tags/3 is tags[3]. An index and a member that is a number look alike
// in a pointer; either way it leads to the place. What a caller made up is cut off after 200 bytes.
func path(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		switch _, err := strconv.ParseUint(token, 10, 31); {
		case err == nil:
			b.WriteString("[" + token + "]")
		case b.Len() > 0:
			b.WriteString("." + token)
		default:
			b.WriteString(token)
		}
		if b.Len() > 200 {
			return strings.ToValidUTF8(b.String()[:200], "") + "…"
		}
	}
	return b.String()
}
