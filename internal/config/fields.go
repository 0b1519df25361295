package config

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"switchgear/internal/telemetry"
)

// Field describes one setting and its present value, for `console config`, flags and the document.
type Field struct {
	// Env is the name of the environment variable; overrides are keyed by it.
	Env string `json:"env"`
	// Flag is the name of the flag without dashes, empty for secrets, which have none.
	Flag string `json:"flag,omitempty"`
	// Type is text, list, number, duration, level, boolean or secret.
	Type string `json:"type"`
	// Value is the effective value as it would be written; a secret is redacted.
	Value string `json:"value"`
	// Default is the value when nothing is set.
	Default string `json:"default"`
	// Example is a valid value.
	Example string `json:"example,omitempty"`
	// Description is one or two sentences.
	Description string `json:"description"`
	// Source says where Value came from.
	Source Source `json:"source"`
}

// Fields lists every setting in the order of the struct. It works on the zero Config too, where Value
// says nothing; Default does.
func (c Config) Fields() []Field {
	v := reflect.ValueOf(c)
	settings := settings()
	fields := make([]Field, 0, len(settings))
	for _, s := range settings {
		f := Field{
			Env: s.env, Flag: flagName(s.env), Type: s.kind, Value: format(v.FieldByName(s.field).Interface()),
			Default: s.defaultValue, Example: s.example, Description: s.description, Source: c.sources[s.env],
		}
		if s.kind == "secret" {
			f.Flag = ""
		}
		if f.Source == "" {
			f.Source = SourceDefault
		}
		fields = append(fields, f)
	}
	return fields
}

// setting is what the tags of one field say.
type setting struct{ field, env, kind, defaultValue, example, description string }

func settings() []setting {
	t := reflect.TypeFor[Config]()
	var list []setting
	for f := range t.Fields() {
		if !f.IsExported() {
			continue
		}
		list = append(list, setting{
			field: f.Name, env: Prefix + f.Tag.Get("env"), kind: kindOf(f.Type),
			defaultValue: f.Tag.Get("envDefault"), example: f.Tag.Get("example"), description: f.Tag.Get("desc"),
		})
	}
	return list
}

func kindOf(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[telemetry.Secret]():
		return "secret"
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[slog.Level]():
		return "level"
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.Int, t.Kind() == reflect.Float64:
		return "number"
	default:
		return "text"
	}
}

func format(value any) string {
	switch v := value.(type) {
	case []string:
		return strings.Join(v, ",")
	case Rates:
		return v.String()
	case time.Duration:
		return short(v)
	case slog.Level:
		return strings.ToLower(v.String())
	default:
		// A Secret redacts itself here.
		return fmt.Sprint(v)
	}
}

// short writes a duration without zero units: 12h, not 12h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// flagName turns SWITCHGEAR_PUBLIC_URL into public-url.
func flagName(env string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(env, Prefix)), "_", "-")
}
