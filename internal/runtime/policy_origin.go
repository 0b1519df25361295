package runtime

import (
	"encoding/json"
	"maps"
	"slices"
)

// Layer is one policy that was laid over those before it, for people to see where a value comes from.
type Layer struct {
	Name  string
	Patch json.RawMessage
}

// Setting is one value of an effective policy. Path has no leading "policy.", and a list is one setting.
type Setting struct {
	Path string
	// Value is as in JSON, without the quotes of a text.
	Value string
	// Origin is the name of the last layer that sets it.
	Origin string
}

// Explain lists every setting of an effective policy with the layer that it comes from: base names what
// the values have that no layer sets. Operations are left out: each has an explanation of its own.
func Explain(effective Policy, base string, layers ...Layer) []Setting {
	effective.Operations = nil
	whole, err := json.Marshal(effective)
	if err != nil {
		return nil
	}
	values := map[string]string{}
	flatten("", whole, values)
	origins := map[string]string{}
	for _, l := range layers {
		set := map[string]string{}
		flatten("", l.Patch, set)
		for path := range set {
			origins[path] = l.Name
		}
	}
	out := make([]Setting, 0, len(values))
	for _, path := range slices.Sorted(maps.Keys(values)) {
		origin := origins[path]
		if origin == "" {
			origin = base
		}
		out = append(out, Setting{Path: path, Value: values[path], Origin: origin})
	}
	return out
}

// flatten collects the leaves of an object: whatever is neither an object nor null.
func flatten(path string, raw json.RawMessage, into map[string]string) {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) == nil && object != nil {
		for name, value := range object {
			at := name
			if path != "" {
				at = path + "." + name
			}
			flatten(at, value, into)
		}
		return
	}
	if isNull(raw) || path == "" {
		return
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	into[path] = text
}
