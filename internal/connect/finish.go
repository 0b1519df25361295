package connect

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

// Callback takes what a browser brought back from the authorization server to the redirect URI of provider.
// The flow that it returns says what became of the consent: done, or failed with the step. An error means
// that there is no such flow for this browser; the state is used up in any case.
func (s *Service) Callback(ctx context.Context, a access.Actor, provider, state, binding string, back oauth.Callback) (Flow, error) {
	f, err := s.store.take(ctx, hash(state), s.now())
	if fault.Is(err, fault.NotFound) {
		return Flow{}, fault.New(fault.Conflict, "STATE_UNKNOWN",
			"This answer belongs to no consent under way: it was used already, took longer than ten minutes, or was never asked for.").
			WithSuggestion("Start again from the page of the connection.")
	}
	if err != nil {
		return Flow{}, fmt.Errorf("connect: callback: %w", err)
	}
	// It ends even if the browser does not wait: the code is used up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishLimit)
	defer cancel()
	other := f.SessionID == "" && a.Kind == access.KindUser && (f.Actor.Kind != a.Kind || f.Actor.ID != a.ID)
	if !f.bound(binding) || f.Provider != provider || other {
		if _, err := s.fail(ctx, f, &oauth.Error{Step: oauth.StepAuthorize, Code: "wrong_browser"}); err != nil {
			return Flow{}, err
		}
		return Flow{}, fault.New(fault.Forbidden, "STATE_OF_ANOTHER",
			"This answer belongs to a consent that was begun in another browser, by somebody else, or with another provider.").
			WithSuggestion("Start again from the page of the connection.")
	}
	if a, err = s.authorityOf(ctx, a, f); err != nil {
		return s.fail(ctx, f, err)
	}
	token, err := s.exchange(ctx, a, f, back)
	if err != nil {
		return s.fail(ctx, f, err)
	}
	return s.finish(ctx, a, f, token)
}

func (s *Service) exchange(ctx context.Context, a access.Actor, f Flow, back oauth.Callback) (oauth.Token, error) {
	client, err := s.accounts.TokenClient(ctx, a, f.Slug, f.Account)
	if err != nil {
		return oauth.Token{}, err
	}
	if err := f.unchanged(client); err != nil {
		return oauth.Token{}, err
	}
	cfg := client.Config
	if err := back.Check(cfg, f.issuerRequired); err != nil {
		return oauth.Token{}, err
	}
	secrets, err := s.open(f)
	if err != nil {
		return oauth.Token{}, err
	}
	return s.server.Exchange(ctx, cfg, back.Code, secrets.Verifier, f.RedirectURI)
}

// sameClient keeps a code from being sent to another server than it is from.
func (f Flow) sameClient(cfg oauth.Config) error {
	if cfg.TokenURL != f.tokenURL || cfg.Issuer != f.issuer {
		return fault.New(fault.Conflict, "CLIENT_CHANGED", "The OAuth client was changed meanwhile. Start again.")
	}
	return nil
}

// finish stores the token.
func (s *Service) finish(ctx context.Context, a access.Actor, f Flow, token oauth.Token) (Flow, error) {
	f.Granted = token.Scopes
	detail := ""
	if missing := f.Missing(); len(missing) > 0 {
		detail = "Not granted: " + strings.Join(missing, " ") + "."
	}
	session, err := s.ofFlow(ctx, f, "")
	if err == nil && session != nil {
		err = s.claim(ctx, *session)
		f.claimed = err == nil
	}
	if err != nil {
		return s.fail(ctx, f, err)
	}
	consented := connections.Consented{Token: token, Origin: f.origin, Event: credentials.EventConnected, Detail: detail}
	if _, err := s.accounts.ConnectAccount(ctx, a, f.Slug, f.Account, consented); err != nil {
		return s.fail(ctx, f, err)
	}
	f.Status, f.EndedAt = StatusDone, db.Time(db.Micros(s.now()))
	// From here on nothing may turn it into a failure: the account is connected, which is what counts.
	if err := s.store.end(ctx, f); err != nil {
		s.logger.WarnContext(ctx, "the end of a consent is not stored", "flow_id", f.ID, "error", err)
	}
	s.endOf(ctx, f, SessionDone)
	return f, nil
}

// fail stores why a flow failed.
func (s *Service) fail(ctx context.Context, f Flow, cause error) (Flow, error) {
	f.Status, f.EndedAt = StatusFailed, db.Time(db.Micros(s.now()))
	if failed, ok := errors.AsType[*oauth.Error](cause); ok {
		f.Step, f.Code, f.Problem = failed.Step, failed.Code, failed.Advice()
	} else {
		f.Step, f.Code, f.Problem = "storing", fault.CodeOf(cause), fault.PublicMessage(cause)
	}
	s.logger.WarnContext(ctx, "a consent failed", "flow_id", f.ID, "connection_id", f.ConnectionID, "account", f.Account,
		"step", f.Step, "code", f.Code, "error", cause)
	if err := s.store.end(ctx, f); err != nil {
		return Flow{}, fmt.Errorf("connect: end %s: %w", f.ID, err)
	}
	if f.Code != CodeLinkNotValid { // Somebody else has used or ended the link: that stands.
		s.endOf(ctx, f, SessionFailed)
	}
	return f, nil
}

// endOf ends the link that a flow belongs to, unless it ended by another. After a failure the link can be tried
// again; while another flow uses it, a failure says nothing about it.
func (s *Service) endOf(ctx context.Context, f Flow, status string) {
	if f.SessionID == "" {
		return
	}
	session, err := s.store.session(ctx, "id", f.SessionID)
	if err == nil {
		session.Status, session.Code, session.Problem = status, f.Code, f.Problem
		_, err = s.endSession(ctx, session, f.claimed)
	}
	if err != nil {
		s.logger.WarnContext(ctx, "the end of a connect link is not stored", "flow_id", f.ID, "session_id", f.SessionID, "error", err)
	}
}

// SessionOf is the link that a flow belongs to, for the browser that began it; false for one of a person at
// the console.
func (s *Service) SessionOf(ctx context.Context, f Flow, binding string) (Session, bool) {
	if f.SessionID == "" || !f.bound(binding) {
		return Session{}, false
	}
	session, err := s.store.session(ctx, "id", f.SessionID)
	return session.at(s.now()), err == nil
}

// Poll asks whether the person has consented on the other device, if it is time to. However many look, the
// server is asked once in each interval.
func (s *Service) Poll(ctx context.Context, a access.Actor, id, binding string) (Flow, error) {
	f, err := s.Find(ctx, a, id, binding)
	if err != nil || f.Grant != authtype.GrantDeviceCode || f.Status != StatusPending || !f.bound(binding) {
		return f, err
	}
	now := db.Time(db.Micros(s.now()))
	if now.Before(f.PollAt) {
		return f, nil
	}
	next := now.Add(f.Interval)
	ok, err := s.store.poll(ctx, f.ID, now, next)
	if err != nil || !ok {
		return f, err
	}
	f.PollAt = next
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishLimit)
	defer cancel()
	if a, err = s.authorityOf(ctx, a, f); err != nil {
		return f, err
	}
	client, err := s.accounts.TokenClient(ctx, a, f.Slug, f.Account)
	if err != nil {
		return f, err
	}
	if err := f.unchanged(client); err != nil {
		return s.fail(ctx, f, err)
	}
	secrets, err := s.open(f)
	if err != nil {
		return f, err
	}
	token, err := s.server.PollDevice(ctx, client.Config, secrets.Device)
	failed, ok := errors.AsType[*oauth.Error](err)
	switch {
	case err == nil:
		return s.finish(ctx, a, f, token)
	case !ok:
		return s.fail(ctx, f, err)
	case failed.Code == oauth.CodePending, failed.Code == oauth.CodeUnreachable, failed.Code == oauth.CodeServerError, failed.Code == oauth.CodeNoAnswer:
		return f, nil // RFC 8628 3.5: go on asking.
	case failed.Code == oauth.CodeSlowDown:
		f.Interval = oauth.SlowDown(f.Interval)
		f.PollAt = now.Add(f.Interval)
		return f, s.store.slower(ctx, f)
	}
	return s.fail(ctx, f, err)
}
