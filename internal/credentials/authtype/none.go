package authtype

import "net/http"

// none sends requests without a credential.
type none struct{}

// Kind implements Type.
func (none) Kind() string { return "none" }

// Label implements Type.
func (none) Label() string { return "No authentication" }

// Fields implements Type.
func (none) Fields() []Field { return nil }

// Apply implements Type. What the caller authenticated with does not pass either.
func (t none) Apply(r *http.Request, use Use) error {
	return begin(t, r, use.Values)
}
