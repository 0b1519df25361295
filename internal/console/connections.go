package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/alerts"
	"switchgear/internal/breakers"
	"switchgear/internal/calls"
	"switchgear/internal/checklist"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/fault"
	"switchgear/internal/health"
	connectionsview "switchgear/web/templates/connections"
	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

type connectionPages struct{ *Console }

func (p connectionPages) routes() []route {
	read, configure, operate := needs(access.PermissionSystemRead), needs(access.PermissionConfigure), needs(access.PermissionOperate)
	return []route{
		{http.MethodGet, "/connections", read, p.list},
		{http.MethodGet, "/connections/new", configure, p.choose},
		{http.MethodPost, "/connections/new", configure, p.create},
		{http.MethodGet, "/connections/{slug}", read, p.show},
		{http.MethodGet, "/connections/{slug}/edit", configure, p.edit},
		{http.MethodPost, "/connections/{slug}/edit", configure, p.update},
		{http.MethodGet, "/connections/{slug}/duplicate", configure, p.duplicateForm},
		{http.MethodPost, "/connections/{slug}/duplicate", configure, p.duplicate},
		{http.MethodPost, "/connections/{slug}/test", configure, p.test},
		{http.MethodGet, "/connections/{slug}/pause", operate, p.confirmWith(connectionsview.QuestionPause)},
		{http.MethodPost, "/connections/{slug}/pause", operate, p.pause},
		{http.MethodGet, "/connections/{slug}/resume", operate, p.confirmWith(connectionsview.QuestionResume)},
		{http.MethodPost, "/connections/{slug}/resume", operate, p.resume},
		{http.MethodGet, "/connections/{slug}/delete", configure, p.confirmWith(connectionsview.QuestionDelete)},
		{http.MethodPost, "/connections/{slug}/delete", configure, p.remove},
		{http.MethodGet, "/connections/{slug}/accounts", read, p.accounts},
		{http.MethodPost, "/connections/{slug}/accounts", configure, p.putAccount},
		{http.MethodGet, "/connections/{slug}/accounts/{account}/delete", configure, p.confirmWith(connectionsview.QuestionDeleteAccount)},
		{http.MethodPost, "/connections/{slug}/accounts/{account}/delete", configure, p.removeAccount},
		{http.MethodGet, "/connections/{slug}/accounts/{account}/revoke", configure, p.confirmWith(connectionsview.QuestionRevokeAccount)},
		{http.MethodPost, "/connections/{slug}/accounts/{account}/revoke", configure, p.revokeAccount},
		{http.MethodGet, "/connections/{slug}/accounts/import", configure, p.offerImport},
		{http.MethodPost, "/connections/{slug}/accounts/import", configure, p.importToken},
		{http.MethodGet, "/connections/{slug}/versions", read, p.versions},
		{http.MethodGet, "/connections/{slug}/versions/{version}/rollback", operate, p.rollback},
		{http.MethodPost, "/connections/{slug}/versions/{version}/activate", operate, p.activate},
		{http.MethodGet, "/connections/{slug}/calls", read, p.calls},
	}
}

func (p connectionPages) list(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	page, limit := paging(q)
	query := connections.Query{
		Search: q.Get("q"), Kind: q.Get("kind"), State: q.Get("state"), Environment: q.Get("environment"), Provider: q.Get("provider"),
		Sort: q.Get("sort"), Page: page, Limit: limit,
	}
	view, err := p.listView(r, query)
	if err != nil {
		return err
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, connectionsview.Table(view))
	}
	return p.render(w, r, http.StatusOK, connectionsview.List(view))
}

// listView is the list of connections that a query selects.
func (p connectionPages) listView(r *http.Request, query connections.Query) (connectionsview.ListView, error) {
	result, err := p.Connections.List(r.Context(), actor(r), query)
	if err != nil {
		return connectionsview.ListView{}, err
	}
	view := connectionsview.ListView{
		Page: p.page(r, "Connections", "connections", "connections", "calls", breakers.Topic, checklist.Topic), Now: p.Now(), Total: result.Total, Number: query.Page, Limit: query.Limit,
		Search: query.Search, State: query.State, Kind: query.Kind, Environment: query.Environment, Provider: query.Provider, Sort: query.Sort,
		Kinds: plainOptions(connections.Kinds()), Environments: plainOptions(connections.Environments()),
		CanConfigure: actor(r).Role.Can(access.PermissionConfigure),
	}
	for _, provider := range p.Providers.All() {
		view.Providers = append(view.Providers, connectionsview.Option{Value: provider.Slug, Label: provider.Name})
	}
	ids := make([]string, len(result.Connections))
	for i, c := range result.Connections {
		ids[i] = c.ID
	}
	if err := p.Calls.Remember(r.Context(), ids...); err != nil {
		return view, err
	}
	for _, c := range result.Connections {
		row := p.row(c)
		row.Breaker = p.ownBreaker(r, c.Slug)
		view.Rows = append(view.Rows, row)
	}
	return view, nil
}

func (p connectionPages) row(c connections.Connection) connectionsview.Row {
	done, items := p.badge(c.ID)
	traffic := p.Calls.Recent(c.ID)
	return connectionsview.Row{
		Slug: c.Slug, Name: c.Name, Provider: p.providerName(c.Provider), Kind: c.Kind, Environment: c.Environment, Auth: authLabel(c.AuthType),
		State: c.State, Version: c.Version, Calls: int64(traffic.Calls), Failed: int64(traffic.Failed), Refused: int64(traffic.Refused), Points: points(traffic.PerMinute[:]),
		LastSuccess: traffic.LastSuccess, Done: done, Items: items,
	}
}

func (p connectionPages) providerName(slug string) string {
	if provider, err := p.Providers.Find(slug); err == nil {
		return provider.Name
	}
	return slug
}

func authLabel(kind string) string {
	if t, err := authtype.Lookup(kind); err == nil {
		return t.Label()
	}
	return kind
}

func points(counts []int) []float64 {
	out := make([]float64, len(counts))
	for i, n := range counts {
		out[i] = float64(n)
	}
	return ui.SoFar(out)
}

func plainOptions(values []string) []connectionsview.Option {
	out := make([]connectionsview.Option, 0, len(values))
	for _, v := range values {
		out = append(out, connectionsview.Option{Value: v, Label: v})
	}
	return out
}

// head is the top of every page of a connection.
func (p connectionPages) head(r *http.Request, c connections.Connection) (connectionsview.Header, error) {
	accounts, err := p.Connections.Accounts(r.Context(), actor(r), c.Slug)
	if err != nil {
		return connectionsview.Header{}, err
	}
	h := connectionsview.Header{
		Slug: c.Slug, Name: c.Name, Host: hostOf(c.BaseURL), State: c.State, Version: c.Version, Accounts: len(accounts), Checklist: p.checklistCount(c.ID),
		CanConfigure: actor(r).Role.Can(access.PermissionConfigure), CanOperate: actor(r).Role.Can(access.PermissionOperate),
		CanMakeKeys: actor(r).Role.Can(access.PermissionKeysWrite), Now: p.Now(),
	}
	h.Breaker, h.Troubled = p.breakerState(r, c.Slug)
	if actor(r).Role.Can(access.PermissionKeysRead) {
		keys, err := p.Access.Keys(r.Context(), actor(r), access.KeyQuery{Scope: "call:" + c.Slug, Status: access.KeyActive, Page: 1, Limit: namedDependents})
		if err != nil {
			return h, err
		}
		names := make([]string, len(keys.Keys))
		for i, k := range keys.Keys {
			names[i] = k.Name
		}
		h.Dependents = appendDependents(h.Dependents, keys.Total, "API key that names it", "API keys that name it", names)
	}
	var others []string
	for _, a := range accounts {
		if a.Account != credentials.DefaultAccount {
			others = append(others, a.Account)
		}
	}
	h.Dependents = appendDependents(h.Dependents, len(others), "account with a credential of its own", "accounts with credentials of their own", others)
	return h, nil
}

// namedDependents is how many of each kind are named.
const namedDependents = 5

// appendDependents says what stops working with a connection: how many there are of a kind, and the first few.
func appendDependents(list []string, n int, one, many string, names []string) []string {
	if n == 0 {
		return list
	}
	noun := many
	if n == 1 {
		noun = one
	}
	names = names[:min(len(names), namedDependents)]
	text := strconv.Itoa(n) + " " + noun + ": " + strings.Join(names, ", ")
	if more := n - len(names); more > 0 {
		text += " and " + strconv.Itoa(more) + " more"
	}
	return append(list, text)
}

func hostOf(baseURL string) string {
	if u, err := url.Parse(baseURL); err == nil {
		return u.Host
	}
	return ""
}

// find loads the connection of the address with its header.
func (p connectionPages) find(r *http.Request) (connections.Connection, connectionsview.Header, error) {
	c, err := p.Connections.Find(r.Context(), actor(r), chi.URLParam(r, "slug"))
	if err != nil {
		return c, connectionsview.Header{}, err
	}
	h, err := p.head(r, c)
	return c, h, err
}

func (p connectionPages) frame(r *http.Request, title string, topics ...string) layout.Page {
	if len(topics) > 0 {
		topics = append(topics, breakers.Topic) // the state in the header
	}
	return p.page(r, title, "connections", topics...)
}

func (p connectionPages) show(w http.ResponseWriter, r *http.Request) error {
	c, head, err := p.find(r)
	if err != nil {
		return err
	}
	if asksFor(r, connectionsview.CourseRegion) {
		course, err := p.course(r, c)
		if err != nil {
			return err
		}
		return p.render(w, r, http.StatusOK, connectionsview.Traffic(course))
	}
	accounts, err := p.Connections.Accounts(r.Context(), actor(r), c.Slug)
	if err != nil {
		return err
	}
	policy, err := p.Connections.EffectivePolicy(c)
	if err != nil {
		return err
	}
	if err := p.Calls.Remember(r.Context(), c.ID); err != nil {
		return err
	}
	traffic := p.Calls.Recent(c.ID)
	view := connectionsview.DetailView{
		Page: p.frame(r, c.Name, "connections", "calls", alerts.Topic, health.Topic, breakers.TopicOf(c.ID)), Now: p.Now(), Head: head, ID: c.ID, Provider: p.providerName(c.Provider), Kind: c.Kind,
		Environment: c.Environment, BaseURL: c.BaseURL, Auth: authLabel(c.AuthType), LogBodies: c.LogBodies, LastKnownGood: c.LastKnownGood,
		CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt, ProxyURL: p.cfg.GatewayURL() + "/proxy/" + c.Slug + "/",
		Example: fmt.Sprintf(`curl -H "Authorization: Bearer $API_KEY" %s/proxy/%s/`, p.cfg.GatewayURL(), c.Slug),
		Calls:   int64(traffic.Calls), Failed: int64(traffic.Failed), Refused: int64(traffic.Refused), Points: points(traffic.PerMinute[:]), FailedPoints: points(traffic.FailedPerMinute[:]),
		LastSuccess: traffic.LastSuccess, LastFailure: traffic.LastFailure, LastError: traffic.LastError, P95: traffic.P95,
		Latency:    course(traffic.Latency[:]),
		Policy:     policyFacts(policy),
		Credential: connectionsview.Credential{Account: credentials.DefaultAccount, Auth: authLabel(c.AuthType), State: "missing"},
	}
	if view.Health, err = healthPages(p).status(r, c); err != nil {
		return err
	}
	for _, a := range accounts {
		if a.Account == credentials.DefaultAccount {
			view.Credential = credentialRow(c, a)
		}
	}
	if view.Alerts, err = alertPages(p).firingFor(r, c.Slug); err != nil {
		return err
	}
	if c.State == connections.StatePaused {
		if view.PausedBy, view.PausedWhy, err = p.paused(r, c.Slug); err != nil {
			return err
		}
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, connectionsview.Overview(view))
	}
	if view.Course, err = p.course(r, c); err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, connectionsview.Detail(view))
}

// paused is who paused a connection, and why; empty when its versions do not tell.
func (p connectionPages) paused(r *http.Request, slug string) (by, why string, err error) {
	versions, err := p.Connections.Versions(r.Context(), actor(r), slug)
	if err != nil {
		return "", "", err
	}
	newest := 0
	for _, v := range versions {
		if v.Cause == connections.CausePause && v.Version > newest {
			newest, by, why = v.Version, v.AuthorName, v.Reason
		}
	}
	return by, why, nil
}

func credentialRow(of connections.Connection, c credentials.Credential) connectionsview.Credential {
	return connectionsview.Credential{
		Account: c.Account, Auth: authLabel(c.AuthType), State: c.State, Fields: c.Fields, UpdatedAt: c.UpdatedAt, LastUsedAt: c.LastUsedAt,
		EnteredFor: c.Origin, GoesTo: credentials.OriginOf(of.BaseURL),
		Token: tokenView(of.Slug, c), ExpiresOn: c.ExpiresOn.End(), ExpiresSetBy: c.ExpiresSetBy,
		LastKey:   connectionsview.KeyUse{ID: c.LastKey.ID, Name: c.LastKey.Name, At: c.LastKey.At},
		Rotatable: credentials.Rotatable(c.AuthType), Rotation: rotationView(c.Rollover),
	}
}

// confirmWith is the page behind a dialog.
func (p connectionPages) confirmWith(q connectionsview.Question) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return p.confirm(w, r, http.StatusOK, q, "", nil)
	}
}

func (p connectionPages) confirm(w http.ResponseWriter, r *http.Request, status int, q connectionsview.Question, why string, problems map[string]string) error {
	c, head, err := p.find(r)
	if err != nil {
		return err
	}
	return p.render(w, r, status, connectionsview.Confirm(connectionsview.ConfirmView{
		Page: p.frame(r, c.Name), Question: q, Head: head, Account: chi.URLParam(r, "account"), Reason: why, Errors: problems,
	}))
}

// decide carries out what a confirmation asked, or asks again with what is wrong.
func (p connectionPages) decide(w http.ResponseWriter, r *http.Request, q connectionsview.Question, done, target string, do func(form url.Values, slug, why string) error) error {
	return p.decideAnd(w, r, q, target, func(form url.Values, slug, why string) (string, error) { return done, do(form, slug, why) })
}

// decideAnd is decide for what says itself how it ended.
func (p connectionPages) decideAnd(w http.ResponseWriter, r *http.Request, q connectionsview.Question, target string, do func(form url.Values, slug, why string) (done string, err error)) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	why, err := reason(form)
	done := ""
	if err == nil {
		done, err = do(form, chi.URLParam(r, "slug"), why)
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.confirm(w, r, status, q, form.Get("reason"), messages)
	}
	p.Access.PutFlash(r.Context(), "ok", done)
	seeOther(w, r, target)
	return nil
}

func (p connectionPages) own(r *http.Request, tab string) string {
	return "/connections/" + url.PathEscape(chi.URLParam(r, "slug")) + tab
}

func (p connectionPages) pause(w http.ResponseWriter, r *http.Request) error {
	return p.decide(w, r, connectionsview.QuestionPause, "The connection is paused. Calls through it are refused.", p.own(r, ""),
		func(_ url.Values, slug, why string) error {
			_, err := p.Connections.Pause(r.Context(), actor(r), slug, why, 0)
			return err
		})
}

func (p connectionPages) resume(w http.ResponseWriter, r *http.Request) error {
	return p.decide(w, r, connectionsview.QuestionResume, "The connection is active again.", p.own(r, ""),
		func(_ url.Values, slug, why string) error {
			_, err := p.Connections.Resume(r.Context(), actor(r), slug, why, 0)
			return err
		})
}

func (p connectionPages) remove(w http.ResponseWriter, r *http.Request) error {
	return p.decideAnd(w, r, connectionsview.QuestionDelete, "/connections", func(form url.Values, slug, why string) (string, error) {
		revoked, err := p.Connections.Delete(r.Context(), actor(r), slug, form.Get("confirm"), why, 0)
		return "The connection is deleted, with its credentials and versions." + revokedText(revoked), err
	})
}

func (p connectionPages) removeAccount(w http.ResponseWriter, r *http.Request) error {
	return p.decideAnd(w, r, connectionsview.QuestionDeleteAccount, p.own(r, "/accounts"), func(_ url.Values, slug, why string) (string, error) {
		revoked, err := p.Connections.DeleteAccount(r.Context(), actor(r), slug, chi.URLParam(r, "account"), why)
		return "The account is deleted, with its credential." + revokedText(revoked), err
	})
}

func (p connectionPages) revokeAccount(w http.ResponseWriter, r *http.Request) error {
	return p.decideAnd(w, r, connectionsview.QuestionRevokeAccount, p.own(r, "/accounts"), func(_ url.Values, slug, why string) (string, error) {
		revoked, err := p.Connections.RevokeAccount(r.Context(), actor(r), slug, chi.URLParam(r, "account"), why)
		return "The account is not used any more." + revokedText(revoked), err
	})
}

// revokedText says what became of the tokens at their service; nothing where there were none.
func revokedText(r connections.Revoked) string {
	text := ""
	if r.Done > 0 {
		text += " Its tokens are revoked at the service."
	}
	if r.NotSupported > 0 {
		text += " No revocation URL is known, so the tokens are good at the service until they end."
	}
	if r.Failed > 0 {
		text += " " + credentials.NotRevoked(r.Code) + " End the access there."
	}
	return text
}

func (p connectionPages) calls(w http.ResponseWriter, r *http.Request) error {
	c, head, err := p.find(r)
	if err != nil {
		return err
	}
	view, err := callPages(p).view(r, calls.Query{Connection: c.Slug})
	if err != nil {
		return err
	}
	view.Address = p.own(r, "/calls")
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, callsTable(view))
	}
	return p.render(w, r, http.StatusOK, connectionsview.Calls(connectionsview.CallsView{Page: p.frame(r, c.Name, "calls"), Head: head, Calls: view}))
}

// versionParam is the number in the address.
func versionParam(r *http.Request) (int, error) {
	n, err := strconv.Atoi(chi.URLParam(r, "version"))
	if err != nil || n < 1 {
		return 0, fault.New(fault.NotFound, "VERSION_NOT_FOUND", "There is no such version.")
	}
	return n, nil
}
