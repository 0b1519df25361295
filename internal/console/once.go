package console

import (
	"crypto/rand"
	"sync"

	"switchgear/internal/fault"
)

// maxOnce is how many sent forms are remembered.
const maxOnce = 4096

// onceTokens makes sure that a form which shows something only once is carried out only once: reloading
// the page that shows a new key would otherwise send the form again and make another key. It lives in
// memory; a form from before a restart is taken as new.
type onceTokens struct {
	mu    sync.Mutex
	used  map[string]struct{}
	order []string
}

// issue returns a token for a new form.
func (o *onceTokens) issue() string { return rand.Text() }

// spend is first for a form that makes something: the error says what to do about what was made.
func (o *onceTokens) spend(token string) error {
	if !o.first(token) {
		return fault.New(fault.Conflict, "ALREADY_SENT", "This form was already sent, and what it made was shown that once. Nothing was made again.").
			WithSuggestion("Look at the list; if you did not keep what was shown, revoke it and make a new one.")
	}
	return nil
}

// first marks a token as used, and reports whether it was not. A form without one is carried out: a program sends
// it on purpose.
func (o *onceTokens) first(token string) bool {
	if token == "" || len(token) > 64 {
		return true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, again := o.used[token]; again {
		return false
	}
	if o.used == nil {
		o.used = map[string]struct{}{}
	}
	if len(o.order) == maxOnce {
		delete(o.used, o.order[0])
		o.order = o.order[1:]
	}
	o.used[token] = struct{}{}
	o.order = append(o.order, token)
	return true
}
