// Package channels knows how each kind of channel is written down and how a message is sent over it.
//
// One file per kind, listed in [All]. To add a kind: write <kind>.go with a type that implements [Kind], add
// it to All, and give it a case in the conformance test, which fails until you do. Invariants:
//
//   - an unknown kind is an error;
//   - every connection is made by the [Wire], so that the egress guard judges it; no redirect is followed;
//   - what a kind returns as an error is a *[SendError], whose text holds neither a secret nor what the other end
//     wrote, so that it may be stored and shown.
package channels

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"switchgear/internal/fault"
)

// maxValue bounds one field, in bytes.
const maxValue = 4 << 10

// The types of a Field: which control a form shows.
const (
	FieldText   = "text"
	FieldSecret = "secret" // typed blindly
	FieldSelect = "select" // one of Options
	FieldList   = "list"   // several values, divided by commas
)

// Field describes one value of a kind: forms, checks and masking follow it.
type Field struct {
	Key, Label, Type, Help string
	Required               bool
	// Secret values are write-only: they are stored sealed and never shown again.
	Secret  bool
	Options []string
	Default string
}

// Info describes a kind.
type Info struct {
	// ID is the stable name, such as webhook.
	ID string
	// Label is the name that people read, About what it is for.
	Label, About string
	Fields       []Field
}

// Wire is how a kind reaches the world. All of it goes through the egress guard.
type Wire struct {
	Client *http.Client
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	// RootCAs replaces the system's certificate authorities for what Client does not do. nil = the system's.
	RootCAs *x509.CertPool
	Now     func() time.Time
}

// Target is a channel with its values, the secret ones included. It must not be printed.
type Target struct {
	Values map[string]string
	// Previous is the secret before a rotation while it signs as well; empty otherwise.
	Previous string
}

// Kind is one way to tell somebody.
type Kind interface {
	Info() Info
	// Check judges values that fit the fields one by one. Its error repeats no value.
	Check(values map[string]string) error
	// Send tries once. An error is a *SendError.
	Send(ctx context.Context, w Wire, t Target, m Message) error
}

// All returns every kind, in the order of a menu.
func All() []Kind { return []Kind{webhook{}, slack{}, email{}} }

// Lookup returns the kind of that name, or a fault.Invalid about the field kind.
func Lookup(id string) (Kind, error) {
	names := make([]string, 0, len(All()))
	for _, k := range All() {
		if k.Info().ID == id {
			return k, nil
		}
		names = append(names, k.Info().ID)
	}
	return nil, fault.Field("UNKNOWN_CHANNEL_KIND", "kind", "There is no such kind of channel.").
		WithSuggestion("Use one of " + strings.Join(names, ", ") + ".")
}

// Find returns the field of that key.
func (i Info) Find(key string) (Field, bool) {
	for _, f := range i.Fields {
		if f.Key == key {
			return f, true
		}
	}
	return Field{}, false
}

// FieldPath is where an error about a field points.
func FieldPath(key string) string { return "settings." + key }

// Validate checks values against a kind. The error is a fault.Invalid about settings.<key> and repeats no value.
func Validate(k Kind, values map[string]string) error {
	info := k.Info()
	for key := range values {
		if _, ok := info.Find(key); !ok {
			return fault.Field("UNKNOWN_FIELD", FieldPath(key), "This kind of channel has no such field.")
		}
	}
	for _, f := range info.Fields {
		if err := f.validate(values[f.Key]); err != nil {
			return err
		}
	}
	return k.Check(values)
}

func (f Field) validate(value string) error {
	bad := func(message string) error { return fault.Field("INVALID_CHANNEL", FieldPath(f.Key), message) }
	switch {
	case value == "" && f.Required:
		return bad(f.Label + " is missing.")
	case len(value) > maxValue:
		return bad(fmt.Sprintf("It is longer than %d bytes.", maxValue))
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		return bad("It must be one line of text.")
	case f.Type == FieldSelect && value != "":
		if slices.Contains(f.Options, value) {
			return nil
		}
		return bad("Use one of " + strings.Join(f.Options, ", ") + ".")
	}
	return nil
}

// SendError is why a message did not arrive.
type SendError struct {
	// Text is a sentence without secrets and without words of the other end.
	Text string
	// Gone means that the other end wants nothing any more; Permanent that trying again is of no use.
	Gone, Permanent bool
	// RetryAfter is how long the other end asked to be left alone; 0 when it did not.
	RetryAfter time.Duration
}

// Error implements error.
func (f *SendError) Error() string { return f.Text }
