package fault_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"switchgear/internal/fault"
)

func TestKindsAreTotal(t *testing.T) {
	t.Parallel()
	codes, statuses := map[string]fault.Kind{}, map[int]fault.Kind{}
	for k := fault.Internal; k <= fault.Timeout; k++ {
		if other, ok := codes[k.Code()]; ok {
			t.Errorf("kinds %d and %d share the code %s", k, other, k.Code())
		}
		if other, ok := statuses[k.Status()]; ok {
			t.Errorf("kinds %d and %d share the status %d", k, other, k.Status())
		}
		codes[k.Code()], statuses[k.Status()] = k, k
		if http.StatusText(k.Status()) == "" || k.Status() < 400 {
			t.Errorf("%s has the status %d", k, k.Status())
		}
		if !regexp.MustCompile(`^[A-Z]+(_[A-Z]+)*$`).MatchString(k.Code()) || k.Title() == "" || k.String() != k.Code() {
			t.Errorf("kind %d: code %q, title %q, string %q", k, k.Code(), k.Title(), k)
		}
	}
	if unknown := fault.Timeout + 1; unknown.Status() != http.StatusInternalServerError {
		t.Errorf("a kind beyond the last is answered with %d", unknown.Status())
	}
}

func TestErrorTravelsThroughWrapping(t *testing.T) {
	t.Parallel()
	cause := errors.New("UNIQUE constraint failed")
	base := fault.Wrap(cause, fault.Conflict, "DUPLICATE", "That name is taken.")
	err := fmt.Errorf("access: create user: %w", base)

	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if got := err.Error(); got != "access: create user: That name is taken.: UNIQUE constraint failed" {
		t.Errorf("Error() = %q", got)
	}
	if fault.KindOf(err) != fault.Conflict || !fault.Is(err, fault.Conflict) || fault.Is(err, fault.Invalid) {
		t.Errorf("kind %v", fault.KindOf(err))
	}
	if fault.CodeOf(err) != "DUPLICATE" {
		t.Errorf("code %q", fault.CodeOf(err))
	}
	if got := fault.PublicMessage(err); got != "That name is taken." {
		t.Errorf("PublicMessage = %q, must not show the cause", got)
	}
	if got := fault.CodeOf(fault.Newf(fault.NotFound, "no user %d", 1)); got != "NOT_FOUND" {
		t.Errorf("an empty code becomes %q", got)
	}
	if fault.Is(nil, fault.Internal) {
		t.Error("nil is no error")
	}
	plain := errors.New("nil map")
	if fault.KindOf(plain) != fault.Internal || fault.CodeOf(plain) != "INTERNAL" {
		t.Errorf("a plain error is %v", fault.KindOf(plain))
	}
}

func TestWithReturnsACopy(t *testing.T) {
	t.Parallel()
	base := fault.Field("INVALID_EMAIL", "email", "That is not an e-mail address.")
	full := base.WithSuggestion("Write name@example.com.").WithValue("nobody").WithRetryAfter(time.Second)
	want := fault.Error{
		Kind: fault.Invalid, Code: "INVALID_EMAIL", Message: "That is not an e-mail address.",
		Details:    fault.Details{Field: "email", Value: "nobody", Suggestion: "Write name@example.com."},
		RetryAfter: time.Second,
	}
	if diff := cmp.Diff(want, *full, cmpopts.IgnoreUnexported(fault.Error{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if base.Details != (fault.Details{Field: "email"}) || base.RetryAfter != 0 {
		t.Errorf("the original changed: %+v", *base)
	}
}

func TestInternalShowsNothing(t *testing.T) {
	t.Parallel()
	const canary = "canary-51c"
	for name, err := range map[string]error{
		"plain":          errors.New(canary),
		"internal fault": fault.New(fault.Internal, canary, canary).WithValue(canary).WithSuggestion(canary),
		"wrapped":        fmt.Errorf("db: %w", fault.Wrap(errors.New(canary), fault.Internal, "", canary)),
	} {
		for _, accept := range []string{"application/json", "application/problem+json"} {
			rec := answer(t, err, http.MethodGet, accept)
			body := rec.Body.String()
			// The code of an Internal error is ours to choose and is meant to be read.
			body = strings.Replace(body, `"code":"`+canary+`"`, "", 1)
			if rec.Code != http.StatusInternalServerError || strings.Contains(body, canary) {
				t.Errorf("%s as %s: %d %s", name, accept, rec.Code, rec.Body)
			}
			if !strings.Contains(body, "req_test") {
				t.Errorf("%s: no request id in %s", name, body)
			}
		}
	}
}

func answer(t *testing.T, err error, method, accept string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "/api/v1/users", nil)
	r.Header.Set("Accept", accept)
	rec := httptest.NewRecorder()
	fault.WriteJSON(rec, r, err, "req_test")
	return rec
}

func TestWriteJSON(t *testing.T) {
	t.Parallel()
	err := fault.Field("INVALID_EMAIL", "email", "That is not an e-mail address.").WithValue("x")

	rec := answer(t, err, http.MethodGet, "*/*")
	var env fault.Envelope
	if e := json.Unmarshal(rec.Body.Bytes(), &env); e != nil {
		t.Fatal(e)
	}
	want := fault.Envelope{
		Error:     fault.Body{Code: "INVALID_EMAIL", Message: "That is not an e-mail address.", Details: fault.Details{Field: "email", Value: "x"}},
		RequestID: "req_test",
	}
	if diff := cmp.Diff(want, env, cmpopts.IgnoreFields(fault.Envelope{}, "Timestamp")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if env.Timestamp.IsZero() || env.Timestamp.Location() != time.UTC {
		t.Errorf("timestamp %v", env.Timestamp)
	}
	if rec.Code != http.StatusBadRequest || rec.Header().Get("Content-Type") != "application/json; charset=utf-8" || rec.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
	if back := fault.FromEnvelope(rec.Code, env); back.Kind != fault.Invalid || back.Message != err.Message || back.Details != err.Details {
		t.Errorf("FromEnvelope lost something: %+v", back)
	}
	if got := fault.FromEnvelope(http.StatusTeapot, env).Kind; got != fault.Internal {
		t.Errorf("an unknown status becomes %v", got)
	}

	rec = answer(t, err, http.MethodGet, "text/html, application/problem+json;q=0.9")
	var problem fault.Problem
	if e := json.Unmarshal(rec.Body.Bytes(), &problem); e != nil {
		t.Fatal(e)
	}
	if problem.Status != 400 || problem.Code != "INVALID_EMAIL" || problem.Detail != err.Message || problem.Title == "" || problem.RequestID != "req_test" {
		t.Errorf("problem %+v", problem)
	}
	if got := rec.Header().Get("Content-Type"); got != "application/problem+json; charset=utf-8" {
		t.Errorf("Content-Type %q", got)
	}

	if rec = answer(t, err, http.MethodHead, "*/*"); rec.Body.Len() != 0 {
		t.Errorf("HEAD has a body: %s", rec.Body)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	limited := fault.New(fault.RateLimited, "", "Too many attempts.").WithRetryAfter(1200 * time.Millisecond)
	if got := answer(t, fmt.Errorf("sign in: %w", limited), http.MethodGet, "").Header().Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After %q, want whole seconds rounded up", got)
	}
	h := answer(t, fault.New(fault.Unauthenticated, "", "Who are you?"), http.MethodGet, "").Header()
	if got := h.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer ") {
		t.Errorf("WWW-Authenticate %q", got)
	}
	if got := h.Get("Retry-After"); got != "" {
		t.Errorf("Retry-After %q without a wait", got)
	}
}

func TestWants(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]struct{ json, problem bool }{
		"":                                      {false, false},
		"*/*":                                   {false, false},
		"text/html,application/xhtml+xml,*/*":   {false, false},
		"application/json":                      {true, false},
		"Application/JSON; charset=utf-8":       {true, false},
		"application/json;q":                    {true, false},
		"text/html, application/problem+json":   {true, true},
		"application/jsonp, ;;;, application/x": {false, false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept", accept)
		if got := fault.WantsJSON(r); got != want.json {
			t.Errorf("WantsJSON(%q) = %v", accept, got)
		}
		if got := fault.WantsProblem(r); got != want.problem {
			t.Errorf("WantsProblem(%q) = %v", accept, got)
		}
	}
}
