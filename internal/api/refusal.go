package api

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"switchgear/internal/fault"
)

// refusal says in our words why huma refused a request. The text of a value never gets in: bodies hold
// credentials, and a value that is wrong may well be one in the wrong place.
func (v *version) refusal(op *huma.Operation, m *huma.ErrorModel) error {
	switch {
	case m.Status == http.StatusRequestEntityTooLarge:
		return tooLarge(op.MaxBodyBytes)
	case m.Status == http.StatusUnsupportedMediaType:
		return fault.New(fault.UnsupportedMedia, "", "The body is of a type that is not read here.")
	case m.Status == http.StatusRequestTimeout || m.Status == http.StatusInternalServerError:
		return fault.New(fault.Invalid, "BODY_INCOMPLETE", "The body did not arrive whole.")
	case len(m.Errors) == 0:
		return fault.Field("INVALID_BODY", "body", "Send a body.")
	case m.Status == http.StatusBadRequest:
		return fault.Field("INVALID_BODY", "body", "The body is not valid JSON.")
	}
	d := m.Errors[0]
	place, field, _ := strings.Cut(d.Location, ".")
	if place != "body" {
		return fault.Field("INVALID_PARAMETER", field, sentence(d.Message))
	}
	if d.Message == "unexpected property" {
		return v.unknownField(op, field)
	}
	if rest, ok := strings.CutPrefix(d.Message, "expected required property "); ok {
		missing, _, _ := strings.Cut(rest, " ")
		return fault.Field("MISSING_FIELD", strings.TrimPrefix(field+"."+missing, "."), "Give a value for this field.")
	}
	if field == "" {
		field = "body"
	}
	return fault.Field("INVALID_FIELD", field, sentence(d.Message))
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "", fmt.Sprintf("The body is larger than %d bytes.", limit))
}

func (v *version) unknownField(op *huma.Operation, path string) error {
	parent, name := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	err := fault.Field("UNKNOWN_FIELD", clip(path), "There is no such field here.")
	if op.RequestBody == nil {
		return err
	}
	for _, media := range op.RequestBody.Content {
		return err.WithSuggestion(suggest(name, v.fieldsAt(media.Schema, parent), "fields"))
	}
	return err
}

// fieldsAt names the fields that a schema has at a path such as policy.rate_limits[0].
func (v *version) fieldsAt(s *huma.Schema, path string) []string {
	schemas := v.api.OpenAPI().Components.Schemas
	for part := range strings.SplitSeq(path, ".") {
		for s != nil && s.Ref != "" {
			s = schemas.SchemaFromRef(s.Ref)
		}
		if s == nil || part == "" {
			break
		}
		name, _, isItem := strings.Cut(part, "[")
		if s = s.Properties[name]; s != nil && isItem {
			s = s.Items
		}
	}
	for s != nil && s.Ref != "" {
		s = schemas.SchemaFromRef(s.Ref)
	}
	if s == nil {
		return nil
	}
	return sortedKeys(s.Properties)
}

// sentence makes a sentence of a message such as "expected boolean".
func sentence(message string) string {
	r, n := utf8.DecodeRuneInString(message)
	if n == 0 {
		return "This is not a possible value."
	}
	return string(unicode.ToUpper(r)) + strings.TrimSuffix(message[n:], ".") + "."
}

// suggest names what was probably meant, or everything there is.
func suggest(name string, known []string, what string) string {
	for _, k := range known {
		if distance(strings.ToLower(name), k) <= max(1, len(k)/4) {
			return "Did you mean " + k + "?"
		}
	}
	if len(known) == 0 {
		return "There are no " + what + " here."
	}
	return "Known " + what + ": " + strings.Join(known, ", ") + "."
}

// distance is the number of letters to insert, delete or replace that make b of a. Long texts are far
// from everything.
func distance(a, b string) int {
	const most = 64
	if len(a) > most || len(b) > most {
		return most
	}
	previous := make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range len(a) {
		current := make([]int, len(b)+1)
		current[0] = i + 1
		for j := range len(b) {
			replace := previous[j]
			if a[i] != b[j] {
				replace++
			}
			current[j+1] = min(replace, previous[j+1]+1, current[j]+1)
		}
		previous = current
	}
	return previous[len(b)]
}

// oneOf checks a value of a fixed set; empty is none of them and passes.
func oneOf(field, value string, known []string) error {
	if value == "" || slices.Contains(known, value) {
		return nil
	}
	return fault.Field("INVALID_PARAMETER", field, "There is no such value.").WithValue(clip(value)).WithSuggestion(suggest(value, known, "values"))
}

// checkSort checks a sort such as -created_at.
func checkSort(sort string, known ...string) error {
	if name := strings.TrimPrefix(sort, "-"); !slices.Contains(known, name) && sort != "" {
		return fault.Field("UNKNOWN_SORT", "sort", "There is no such sort.").WithValue(clip(sort)).WithSuggestion(suggest(name, known, "sorts"))
	}
	return nil
}

func parseQuery(r *http.Request) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fault.New(fault.Invalid, "INVALID_QUERY", "The query of the address is not well-formed.")
	}
	return query, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// clip bounds what is repeated of a request.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "")
}
