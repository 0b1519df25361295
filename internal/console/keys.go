package console

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/fault"
	accessview "switchgear/web/templates/access"
)

type keyPages struct{ *Console }

func (p keyPages) routes() []route {
	read, write := needs(access.PermissionKeysRead), needs(access.PermissionKeysWrite)
	return []route{
		{http.MethodGet, "/keys", read, p.list},
		{http.MethodGet, "/keys/new", write, p.form},
		{http.MethodPost, "/keys/new", write, p.create},
		{http.MethodGet, "/keys/{id}/revoke", write, p.confirmRevoke},
		{http.MethodPost, "/keys/{id}/revoke", write, p.revoke},
	}
}

func (p keyPages) list(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	page, limit := paging(q)
	query := access.KeyQuery{Search: q.Get("q"), Status: q.Get("status"), Sort: q.Get("sort"), Page: page, Limit: limit}
	result, err := p.Access.Keys(r.Context(), actor(r), query)
	if err != nil {
		return err
	}
	view := accessview.KeysView{
		Page: p.page(r, "API keys", "keys", "keys"), Now: p.Now(), Total: result.Total, Number: page, Limit: limit,
		Search: query.Search, Status: query.Status, Sort: query.Sort, CanWrite: actor(r).Role.Can(access.PermissionKeysWrite),
	}
	for _, k := range result.Keys {
		view.Rows = append(view.Rows, p.row(k))
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, accessview.KeysTable(view))
	}
	return p.render(w, r, http.StatusOK, accessview.Keys(view))
}

func (p keyPages) row(k access.Key) accessview.KeyRow {
	return accessview.KeyRow{
		ID: k.ID, Name: k.Name, Status: k.Status(p.Now()), CreatedBy: k.CreatedBy, Scopes: scopeNames(k.Scopes),
		CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt, LastUsedAt: k.LastUsedAt, RevokedAt: k.RevokedAt,
	}
}

func scopeNames(scopes []access.Scope) []string {
	out := make([]string, 0, len(scopes))
	for _, s := range scopes {
		out = append(out, string(s))
	}
	return out
}

func (p keyPages) newView(r *http.Request, ticked []string) accessview.KeyNewView {
	has := func(scope string) bool { return slices.Contains(ticked, scope) }
	return accessview.KeyNewView{
		Page: p.page(r, "New API key", "keys"), Expiry: "90", Once: p.once.issue(),
		Scopes: []accessview.ScopeChoice{
			{Value: "call:*", Label: "Call every connection", Hint: "Send requests through the gateway to any connection.", Checked: has("call:*")},
			{Value: "api:read", Label: "Read the API", Hint: "Read configuration, state and metrics. Never a secret.", Checked: has("api:read")},
			{Value: "api:write", Label: "Change through the API", Hint: "Everything the read scope allows, and changes.", Checked: has("api:write")},
		},
		Expiries: []accessview.Option{
			{Value: "30", Label: "30 days"},
			{Value: "90", Label: "90 days"},
			{Value: "365", Label: "1 year"},
			{Value: "never", Label: "Does not expire"},
		},
	}
}

func (p keyPages) form(w http.ResponseWriter, r *http.Request) error {
	view := p.newView(r, nil)
	view.Connections = r.URL.Query().Get("connections") // a connection's page leads here with its slug
	return p.render(w, r, http.StatusOK, accessview.KeyNew(view))
}

func (p keyPages) create(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	view := p.newView(r, form["scope"])
	view.Name, view.Connections, view.Expiry = form.Get("name"), form.Get("connections"), form.Get("expiry")
	if err := p.once.spend(form.Get("once")); err != nil {
		return err
	}
	key, secret, err := p.make(r, view, form["scope"])
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		view.Errors = messages
		return p.render(w, r, status, accessview.KeyNew(view))
	}
	return p.render(w, r, http.StatusCreated, accessview.KeyCreated(accessview.KeyCreatedView{
		Page: p.page(r, "API key created", "keys"), Now: p.Now(), Name: key.Name, ID: key.ID, Key: secret,
		Scopes: scopeNames(key.Scopes), ExpiresAt: key.ExpiresAt, Example: p.example(key),
	}))
}

func (p keyPages) make(r *http.Request, view accessview.KeyNewView, ticked []string) (access.Key, string, error) {
	expires, err := expiry(view.Expiry, p.Now())
	if err != nil {
		return access.Key{}, "", err
	}
	texts := ticked
	for slug := range strings.FieldsSeq(strings.ReplaceAll(view.Connections, ",", " ")) {
		texts = append(texts, "call:"+strings.TrimPrefix(slug, "call:"))
	}
	scopes := make([]access.Scope, 0, len(texts))
	for i, text := range texts {
		scope, err := access.ParseScope(text)
		if err != nil {
			field := "scope"
			if i >= len(ticked) {
				field = "connections"
			}
			return access.Key{}, "", fault.Field(fault.CodeOf(err), field, fault.PublicMessage(err))
		}
		scopes = append(scopes, scope)
	}
	if len(scopes) == 0 {
		return access.Key{}, "", fault.Field("INVALID_SCOPES", "scope", "Choose at least one scope, or name a connection.")
	}
	key, secret, err := p.Access.CreateKey(r.Context(), actor(r), access.NewKey{Name: view.Name, Scopes: scopes, ExpiresAt: expires})
	if err != nil {
		return access.Key{}, "", err
	}
	return key, secret.Reveal(), nil
}

// example is a command that works with the new key: a call through the connection that it names, or
// reading metrics, which needs no connection.
func (p keyPages) example(key access.Key) string {
	for _, scope := range key.Scopes {
		if slug, ok := strings.CutPrefix(string(scope), "call:"); ok && slug != "*" {
			return fmt.Sprintf(`curl -H "Authorization: Bearer $API_KEY" %s/proxy/%s/`, p.cfg.GatewayURL(), slug)
		}
	}
	if !key.Allows("api:read") {
		return ""
	}
	return fmt.Sprintf(`curl -H "Authorization: Bearer $API_KEY" %s/metrics`, p.cfg.GatewayURL())
}

// expiry turns the choice of the form into a moment; zero means never.
func expiry(choice string, now time.Time) (time.Time, error) {
	if choice == "never" {
		return time.Time{}, nil
	}
	days, err := strconv.Atoi(choice)
	if err != nil || days < 1 || days > 3650 {
		return time.Time{}, fault.Field("INVALID_EXPIRY", "expiry", "Choose how long the key lives.")
	}
	return now.AddDate(0, 0, days), nil
}

func (p keyPages) confirmRevoke(w http.ResponseWriter, r *http.Request) error {
	return p.confirm(w, r, http.StatusOK, "", nil)
}

func (p keyPages) confirm(w http.ResponseWriter, r *http.Request, status int, reason string, problems accessview.Errors) error {
	key, err := p.Access.Key(r.Context(), actor(r), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	consequence := accessview.RevokeKeyConsequence
	if key.LastUsedAt.IsZero() {
		consequence += accessview.NeverUsed
	}
	return p.render(w, r, status, accessview.Confirm(accessview.ConfirmView{
		Page: p.page(r, "Revoke "+key.Name, "keys"), Title: "Revoke the key " + key.Name + "?", Consequence: consequence,
		Confirm: "Revoke key", Action: r.URL.Path, Cancel: "/keys", Danger: true, NeedsReason: true, Reason: reason, Errors: problems,
		Subject: key.ID,
	}))
}

func (p keyPages) revoke(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	why, err := reason(form)
	if err == nil {
		err = p.Access.RevokeKey(r.Context(), actor(r), chi.URLParam(r, "id"), why)
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.confirm(w, r, status, form.Get("reason"), messages)
	}
	p.Access.PutFlash(r.Context(), "ok", "The key is revoked. Requests with it are refused from now on.")
	seeOther(w, r, "/keys")
	return nil
}
