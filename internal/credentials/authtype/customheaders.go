package authtype

import (
	"encoding/json"
	"net/http"
	"net/textproto"
	"strings"
)

const maxHeaders = 20

// customHeaders sends fixed headers, for services that want several or odd ones.
type customHeaders struct{}

// Kind implements Type.
func (customHeaders) Kind() string { return "custom_headers" }

// Label implements Type.
func (customHeaders) Label() string { return "Custom headers" }

// Fields implements Type.
func (customHeaders) Fields() []Field {
	return []Field{{
		Key: "headers", Label: "Headers", Type: FieldHeaders, Required: true, Secret: true,
		Help: "One per line, as Name: value.",
	}}
}

func (t customHeaders) check(values map[string]string) error {
	_, err := t.parse(values["headers"])
	return err
}

// parse reads lines "Name: value" or a JSON object of strings.
func (t customHeaders) parse(text string) (map[string]string, error) {
	f := field(t, "headers")
	pairs, err := split(f, strings.TrimSpace(text))
	if err != nil {
		return nil, err
	}
	headers := make(map[string]string, len(pairs))
	for _, p := range pairs {
		name, value := textproto.CanonicalMIMEHeaderKey(p[0]), p[1]
		if err := checkHeaderName(f, p[0]); err != nil {
			return nil, err
		}
		if err := checkHeaderValue(f, value); err != nil {
			return nil, err
		}
		if _, twice := headers[name]; twice {
			return nil, f.invalid("name the same header twice.")
		}
		if value == "" {
			return nil, f.invalid("have a name without a value.")
		}
		headers[name] = value
	}
	switch {
	case len(headers) == 0:
		return nil, f.invalid("are missing. Write one per line, as Name: value.")
	case len(headers) > maxHeaders:
		return nil, f.invalid("are more than 20.")
	}
	return headers, nil
}

func split(f ref, text string) ([][2]string, error) {
	if strings.HasPrefix(text, "{") {
		var object map[string]string
		if err := json.Unmarshal([]byte(text), &object); err != nil {
			// The decoder's text could quote a value: it stays out.
			return nil, f.invalid("are not a JSON object of strings.")
		}
		pairs := make([][2]string, 0, len(object))
		for name, value := range object {
			pairs = append(pairs, [2]string{name, value})
		}
		return pairs, nil
	}
	var pairs [][2]string
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(strings.TrimSuffix(line, "\r"))
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, f.invalid("have a line that is not Name: value.")
		}
		pairs = append(pairs, [2]string{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	return pairs, nil
}

// Apply implements Type.
func (t customHeaders) Apply(r *http.Request, use Use) error {
	values := use.Values
	if err := begin(t, r, values); err != nil {
		return err
	}
	headers, err := t.parse(values["headers"])
	if err != nil {
		return err
	}
	for name, value := range headers {
		set(r.Header, name, value)
	}
	return nil
}
