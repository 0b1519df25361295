package console

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/providers"
	"switchgear/internal/runtime"
	connectionsview "switchgear/web/templates/connections"
)

func (p connectionPages) versions(w http.ResponseWriter, r *http.Request) error {
	c, head, err := p.find(r)
	if err != nil {
		return err
	}
	versions, err := p.Connections.Versions(r.Context(), actor(r), c.Slug)
	if err != nil {
		return err
	}
	view := connectionsview.VersionsView{Page: p.frame(r, c.Name, "connections"), Now: p.Now(), Head: head}
	for _, v := range versions {
		view.Rows = append(view.Rows, versionRow(v))
	}
	q := r.URL.Query()
	if q.Get("a") != "" || q.Get("b") != "" {
		view.A, _ = strconv.Atoi(q.Get("a"))
		view.B, _ = strconv.Atoi(q.Get("b"))
		changes, err := p.Connections.Diff(r.Context(), actor(r), c.Slug, view.A, view.B)
		if err != nil {
			messages, _, ok := notFoundMessage(err)
			if !ok {
				return err
			}
			view.Problem = messages
		}
		view.Diff = changeRows(changes)
	}
	return p.render(w, r, http.StatusOK, connectionsview.Versions(view))
}

func versionRow(v connections.Version) connectionsview.Version {
	return connectionsview.Version{
		Number: v.Version, Active: v.Active, LastKnownGood: v.LastKnownGood, Author: v.AuthorName, Reason: v.Reason, Cause: v.Cause,
		CopiedFrom: v.CopiedFrom, CreatedAt: v.CreatedAt,
	}
}

func changeRows(changes []connections.Change) []connectionsview.Change {
	out := make([]connectionsview.Change, 0, len(changes))
	for _, c := range changes {
		out = append(out, connectionsview.Change{Field: c.Field, Before: c.Before, After: c.After, Secret: c.Secret})
	}
	return out
}

// rollback shows what bringing a version back would change.
func (p connectionPages) rollback(w http.ResponseWriter, r *http.Request) error {
	return p.rollbackWith(w, r, http.StatusOK, "", nil)
}

func (p connectionPages) rollbackWith(w http.ResponseWriter, r *http.Request, status int, why string, problems map[string]string) error {
	n, err := versionParam(r)
	if err != nil {
		return err
	}
	view, err := p.rollbackView(r, n)
	if err != nil {
		return err
	}
	view.Reason, view.Errors = why, problems
	return p.render(w, r, status, connectionsview.Rollback(view))
}

// rollbackView is what bringing a version back would change. Where that is the policy, it can be tried first.
func (p connectionPages) rollbackView(r *http.Request, n int) (connectionsview.RollbackView, error) {
	c, head, err := p.find(r)
	if err != nil {
		return connectionsview.RollbackView{}, err
	}
	preview, err := p.Connections.Preview(r.Context(), actor(r), c.Slug, n)
	if err != nil {
		return connectionsview.RollbackView{}, err
	}
	view := connectionsview.RollbackView{
		Page: p.frame(r, c.Name), Now: p.Now(), Head: head, Version: versionRow(preview.Version), Changes: changeRows(preview.Changes), Move: moveView(preview.Move),
		CredentialGone: preview.CredentialGone,
	}
	if preview.Problem != nil {
		view.Problem = fault.PublicMessage(preview.Problem)
		if e, ok := errors.AsType[*fault.Error](preview.Problem); ok && e.Details.Suggestion != "" {
			view.Problem += " " + e.Details.Suggestion
		}
	}
	view.CanTry = slices.ContainsFunc(preview.Changes, func(c connections.Change) bool { return strings.HasPrefix(c.Field, "policy") })
	return view, nil
}

func (p connectionPages) activate(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	n, err := versionParam(r)
	if err != nil {
		return err
	}
	left, err := seen(form)
	if err != nil {
		return err
	}
	why, err := reason(form)
	if err == nil {
		_, err = p.Connections.Activate(r.Context(), actor(r), chi.URLParam(r, "slug"), n, why, left)
	}
	if fault.Is(err, fault.PreconditionFailed) {
		err = fault.New(fault.Conflict, fault.CodeOf(err), "Somebody saved another version in the meantime. Look at the changes below again.")
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.rollbackWith(w, r, status, form.Get("reason"), messages)
	}
	p.Access.PutFlash(r.Context(), "ok", "Version "+strconv.Itoa(n)+" is back, as a new version. The gateway follows at once.")
	seeOther(w, r, p.own(r, "/versions"))
	return nil
}

// test sends one real request with the credential of an account and shows what came back.
func (p connectionPages) test(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	c, head, err := p.find(r)
	if err != nil {
		return err
	}
	account := firstOf(form.Get("account"), credentials.DefaultAccount)
	policy, err := p.Connections.EffectivePolicy(c)
	if err != nil {
		return err
	}
	provider, err := p.Providers.Find(c.Provider)
	if err != nil {
		provider = providers.Provider{} // It left the catalogue, and has nothing to say.
	}
	method, path := connections.HealthRequest(policy, provider)
	var (
		result   runtime.ProbeResult
		accepted bool
	)
	switch target, err := p.Connections.Target(c.Slug, account); {
	case err == nil:
		result = runtime.Probe(r.Context(), target, method, path)
		accepted = result.Accepted(target.Policy)
	case fault.Is(err, fault.Unavailable): // It is the credential that keeps calls back: that is the result.
		result = runtime.ProbeResult{Method: method, URL: c.BaseURL + path, Outcome: runtime.OutcomeRejectedLocal, Err: err, Problem: fault.PublicMessage(err)}
	default:
		return err
	}
	view := connectionsview.TestView{
		Page: p.frame(r, c.Name), Now: p.Now(), Head: head, Account: account, Method: result.Method, URL: result.URL, Status: result.Status,
		Outcome: string(result.Outcome), OutcomeLabel: result.Outcome.Label(), Took: result.Took, Body: result.Body,
		OK: accepted,
	}
	view.Message, view.Hint = testMessage(result, accepted)
	if accepted && account == credentials.DefaultAccount && c.AuthType == authNone {
		view.Message, view.Hint = "The system answered with "+strconv.Itoa(result.Status)+" "+http.StatusText(result.Status)+".", "The connection has no credential that this could test."
	}
	if !view.OK {
		if view.Reconnect, err = p.reconnect(r, c.Slug, account, result); err != nil {
			return err
		}
	}
	return p.render(w, r, http.StatusOK, connectionsview.TestResult(view))
}

// authNone is the type of a connection without a credential.
const authNone = "none"

// reconnect is where a person connects the account again that a test failed with; empty where that would not
// help.
func (p connectionPages) reconnect(r *http.Request, slug, account string, result runtime.ProbeResult) (string, error) {
	switch code := fault.CodeOf(result.Err); {
	case code == "CREDENTIAL_NEEDS_REAUTH", code == "CREDENTIAL_NOT_CONNECTED", code == "CREDENTIAL_OTHER_ORIGIN", code == "CREDENTIAL_REVOKED":
	case result.Outcome == runtime.OutcomeUnauthenticated:
	default:
		return "", nil
	}
	// It is read again: the test may have found out that the token is of no use any more.
	all, err := p.Connections.Accounts(r.Context(), actor(r), slug)
	if err != nil {
		return "", err
	}
	for _, a := range all {
		if token := tokenView(slug, a); a.Account == account && token != nil {
			return token.Connect, nil
		}
	}
	return "", nil
}

// testMessage says what a test showed and what to do about it.
func testMessage(result runtime.ProbeResult, accepted bool) (message, hint string) {
	switch {
	case accepted:
		return "The credential was accepted.", ""
	case result.Status/100 == 3:
		return "The system answered with a redirect" + result.LeadsTo() + ", which says nothing about the credential.", "It may lead to a login page. Check the base URL, or test with a path that gives an answer of its own."
	case result.Outcome == runtime.OutcomeSuccess:
		return "The answer is not the one that is expected.", "The policy of the connection says which status its health check has and what answers mean. Compare them with this one."
	case result.Outcome == runtime.OutcomeUnauthenticated:
		return "The credential was not accepted.", "Check the value and the auth type, then store it again."
	case result.Outcome == runtime.OutcomeForbidden:
		return "The credential is known and may not do this.", "Ask the vendor which permission the request needs."
	case result.Outcome == runtime.OutcomeClientError:
		return "The system answered, but this request does not exist there.", "That says nothing about the credential; call a path that you know through the gateway."
	case result.Outcome == runtime.OutcomeRejectedLocal && strings.HasPrefix(fault.CodeOf(result.Err), "CREDENTIAL_"):
		return "The credential cannot be used.", result.Problem
	case result.Problem != "":
		return "There was no answer: " + strings.TrimSuffix(result.Problem, ".") + ".", testAdvice(result.Outcome)
	}
	return "The system answered with a problem of its own.", "Try again later, or look at the vendor's status page."
}

// testAdvice is what to look at when a test brought no answer.
func testAdvice(outcome runtime.Outcome) string {
	if outcome == runtime.OutcomeTimeout {
		return "Check the base URL and the way there: a firewall that drops packets looks like this. The timeout is part of the policy."
	}
	if outcome == runtime.OutcomeTLSFailed {
		return "Check that the base URL names the host of the certificate, and that the certificate is valid."
	}
	if outcome == runtime.OutcomeRejectedLocal {
		return "Check the credential; private addresses need a rule: SWITCHGEAR_EGRESS_ALLOW."
	}
	return "Check host and port of the base URL, and whether the system is up."
}
