package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"switchgear/internal/fault"
)

// Source says where a value came from.
type Source string

// The sources, weakest first.
const (
	SourceDefault     Source = "default"
	SourceEnvironment Source = "environment"
	SourceFlag        Source = "flag"
)

// Load makes a Config from the environment (as a map) and from overrides, which are keyed by
// environment name and win; flags arrive there. A variable that is set but empty counts as not set; an
// override that is empty puts the default back. The error is one [fault.Invalid] that lists every
// problem on a line of its own.
func Load(environ, overrides map[string]string) (Config, error) {
	c := Config{sources: map[string]Source{}}
	values := map[string]string{}
	take := func(from map[string]string, source Source) {
		for name, value := range from {
			if !strings.HasPrefix(name, Prefix) {
				continue
			}
			values[name] = value
			c.sources[name] = source
		}
	}
	take(environ, SourceEnvironment)
	take(overrides, SourceFlag)
	for name, value := range values {
		if value == "" {
			delete(values, name)
			delete(c.sources, name)
		}
	}

	p := &problems{sources: c.sources}
	p.unknown(values)
	p.parse(&c, values)
	p.check(&c)
	return c, p.err()
}

// problems collects what is wrong, by environment name.
type problems struct {
	sources map[string]Source
	lines   map[string][]string
}

// add records a problem of the setting with this environment name.
func (p *problems) add(name, format string, args ...any) {
	if p.lines == nil {
		p.lines = map[string][]string{}
	}
	p.lines[name] = append(p.lines[name], fmt.Sprintf(format, args...))
}

// has reports whether the setting is known to be wrong, so that no rule builds on its value.
func (p *problems) has(name string) bool { return len(p.lines[name]) > 0 }

func (p *problems) err() error {
	if len(p.lines) == 0 {
		return nil
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(p.lines)) {
		label := name
		if p.sources[name] == SourceFlag {
			label += " (" + "--" + flagName(name) + ")"
		}
		for _, text := range p.lines[name] {
			lines = append(lines, label+": "+text)
		}
	}
	heading := "the configuration has a problem:"
	if len(lines) > 1 {
		heading = fmt.Sprintf("the configuration has %d problems:", len(lines))
	}
	return fault.New(fault.Invalid, "INVALID_CONFIGURATION", heading+"\n  "+strings.Join(lines, "\n  "))
}

// serviceLink matches what Kubernetes and Docker inject into the neighbours of a service that is called
// switchgear. Nobody set those, so they are no problem.
func serviceLink(name, value string) bool {
	return regexp.MustCompile(`^SWITCHGEAR_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`).MatchString(name) ||
		name == Prefix+"PORT" && strings.Contains(value, "://")
}

// unknown reports names that are no setting. It never repeats the value, which may be a secret.
func (p *problems) unknown(values map[string]string) {
	settings := settings()
	known := make([]string, 0, len(settings))
	for _, s := range settings {
		known = append(known, s.env)
	}
	for name, value := range values {
		if slices.Contains(known, name) || serviceLink(name, value) {
			continue
		}
		if near := nearest(name, known); near != "" {
			p.add(name, "is not a setting; did you mean %s?", near)
			continue
		}
		p.add(name, "is not a setting; `console config` lists them")
	}
}

// parse fills the struct; a value that does not fit its type is a problem in words of ours.
func (p *problems) parse(c *Config, values map[string]string) {
	// slog's own parser also takes "info+2", which nobody means.
	if level, ok := values[envLogLevel]; ok && !slices.Contains([]string{"debug", "info", "warn", "error"}, strings.ToLower(level)) {
		p.add(envLogLevel, "%q is not one of debug, info, warn, error (example debug)", clip(level))
		delete(values, envLogLevel)
	}
	err := env.ParseWithOptions(c, env.Options{Environment: values, Prefix: Prefix})
	if err == nil {
		return
	}
	aggregate, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		p.add(Prefix+"*", "cannot be read: %v", err)
		return
	}
	for _, e := range aggregate.Errors {
		parse, ok := errors.AsType[env.ParseError](e)
		if !ok {
			p.add(Prefix+"*", "cannot be read: %v", e)
			continue
		}
		for _, s := range settings() {
			if s.field == parse.Name {
				p.add(s.env, "%q is not %s (example %s)", clip(values[s.env]), typeName(parse.Type), s.example)
			}
		}
	}
}

func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "a whole number"
	case t.Kind() == reflect.Float64:
		return "a number"
	case t == reflect.TypeFor[Rates]():
		return "a list of REQUESTS/WINDOW"
	default:
		return "valid"
	}
}

// clip keeps a message readable when a whole file was put into a variable.
func clip(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

// nearest returns the known name that s most likely stands for, or nothing.
func nearest(s string, known []string) string {
	best, bestDistance := "", 3
	for _, k := range known {
		if d := distance(s, k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance between two ASCII names.
func distance(a, b string) int {
	if max(len(a), len(b)) > 64 {
		return len(a) + len(b)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			previous, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, previous+cost)
		}
	}
	return row[len(b)]
}
