package runtime

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"switchgear/internal/fault"
	"switchgear/internal/runtime/bodies"
	"switchgear/internal/telemetry"
)

// maxProbeBody is how much of an answer a probe keeps.
const maxProbeBody = 2 << 10

// ProbeResult is what one request of our own showed.
type ProbeResult struct {
	Method, URL string // the URL without its query
	Status      int    // 0 when nothing came back
	Outcome     Outcome
	Took        time.Duration
	Body        string // the beginning, when it is text
	Err         error  // why there was no answer, or not the whole of it: then there is a Status
	Problem     string // Err in words that may be shown; empty when there was an answer
	// Redirect is the host and path that a redirect leads to, without what may be secret; empty when it does not say.
	Redirect string
	asked    string // path and query, as they were given
}

// Accepted reports whether the answer shows that the credential works: by the status that the health check
// expects, where the probe was its request; by the rules of the policy for outcomes; else by a 2xx. A redirect may
// lead to a login page, so it shows nothing.
func (r *ProbeResult) Accepted(p Policy) bool {
	check := p.HealthCheck
	switch {
	case r.Err != nil || r.Status == 0:
		return false
	case check.ExpectedStatus > 0 && check.Method == r.Method && check.Path == r.asked:
		return r.Status == check.ExpectedStatus
	}
	if outcome, ok := r.rule(p); ok {
		return outcome == OutcomeSuccess
	}
	return r.Status/100 == 2
}

// Meaning is the outcome of the answer under a policy.
func (r *ProbeResult) Meaning(p Policy) Outcome {
	if outcome, ok := r.rule(p); ok {
		return outcome
	}
	return r.Outcome
}

// LeadsTo ends a sentence about a redirect: " to login.example.com/", or nothing when that is not known.
func (r *ProbeResult) LeadsTo() string {
	if r.Redirect == "" {
		return ""
	}
	return " to " + r.Redirect
}

// rule is what the rules of a policy say about the answer; false when none does.
func (r *ProbeResult) rule(p Policy) (Outcome, bool) {
	if r.Err != nil || r.Status == 0 {
		return "", false
	}
	for _, rule := range p.Outcomes {
		if rule.Status == r.Status && strings.Contains(r.Body, rule.BodyContains) {
			return rule.Outcome, true
		}
	}
	return "", false
}

// Probe sends one request with the credential of a target and reads the answer, to see whether both are
// accepted. It is bounded by the timeout of the target's policy, follows no redirect and is not recorded
// as a call. pathAndQuery is below the base URL.
func Probe(ctx context.Context, t Target, method, pathAndQuery string) ProbeResult {
	started := time.Now()
	path, query, _ := strings.Cut(strings.TrimPrefix(pathAndQuery, "/"), "?")
	result := ProbeResult{Method: method, asked: pathAndQuery}
	finish := func(resp *http.Response, err error) ProbeResult {
		result.Took, result.Err = time.Since(started), err
		result.Outcome = Classify(resp, err, true)
		if err != nil {
			result.Problem = problem(err)
		}
		return result
	}
	unsent := func(err error) ProbeResult {
		result.Took, result.Err, result.Outcome = time.Since(started), err, OutcomeRejectedLocal
		result.Problem = "the credential could not be used"
		if _, ok := errors.AsType[*fault.Error](err); ok {
			result.Problem = fault.PublicMessage(err)
		}
		return result
	}
	u, err := JoinPath(t.BaseURL, path, query)
	if err != nil {
		return unsent(err)
	}
	shown := *u
	shown.RawQuery = ""
	result.URL = shown.String()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(t.Policy.Timeout))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, u.String(), http.NoBody)
	if err != nil {
		return finish(nil, err)
	}
	r.Header.Set("Accept", "application/json, */*;q=0.5")
	r.Header.Set("User-Agent", "switchgear")
	before := maps.Clone(r.Header)
	if err := t.Authorize(ctx, r); err != nil {
		return unsent(err)
	}
	resp, err := t.Transport.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusUnauthorized && t.Refresh != nil {
		// The token ended before its time, or is not known there any more: a call would get another one, too.
		again, renewErr := t.Refresh(ctx)
		switch {
		case renewErr == nil:
			_ = resp.Body.Close()
			r.Header = maps.Clone(before)
			if err := again(ctx, r); err != nil {
				return unsent(err)
			}
			resp, err = t.Transport.RoundTrip(r)
		case fault.CodeOf(renewErr) == "CREDENTIAL_NEEDS_REAUTH":
			_ = resp.Body.Close()
			result.Status = resp.StatusCode
			return unsent(renewErr)
		}
	}
	if err != nil {
		return finish(nil, err)
	}
	defer func() { _ = resp.Body.Close() }()
	result.Status = resp.StatusCode
	// A system may repeat what it got, and nobody is to read the credential here.
	hide := func(text string) string {
		return bodies.Hide(text, true, addedValues(before, r.Header, query, r.URL.RawQuery))
	}
	if resp.StatusCode/100 == 3 {
		result.Redirect = shorten(hide(destination(resp)))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProbeBody))
	if err != nil {
		return finish(nil, err)
	}
	if utf8.Valid(body) {
		result.Body = hide(string(body))
	}
	return finish(resp, nil)
}

// destination is the host and path that a redirect leads to; empty when it names none.
func destination(resp *http.Response) string {
	to, err := resp.Location()
	if err != nil || to.Host == "" {
		return ""
	}
	return to.Host + to.EscapedPath()
}

// maxDestination bounds what is told of where a redirect leads to.
const maxDestination = 200

func shorten(text string) string {
	if len(text) <= maxDestination {
		return text
	}
	return strings.ToValidUTF8(text[:maxDestination], "") + "…"
}

// problem words why there was no answer: faults say it themselves, the rest as the record of a call does.
func problem(err error) string {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return fault.PublicMessage(err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errTotalTimeout.Error()
	}
	return telemetry.Mask(describe(err))
}
