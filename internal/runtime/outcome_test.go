package runtime_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"

	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
)

func TestClassifyStatus(t *testing.T) {
	t.Parallel()
	want := map[int]runtime.Outcome{
		200: "success", 201: "success", 204: "success", 301: "success", 304: "success", 307: "success",
		400: "client_error", 404: "client_error", 409: "client_error", 422: "client_error", 451: "client_error",
		401: "unauthenticated", 403: "forbidden", 408: "timeout_status", 425: "timeout_status", 429: "throttled",
		500: "server_error", 501: "not_implemented", 505: "not_implemented", 502: "unavailable", 503: "unavailable",
		504: "unavailable", 507: "server_error", 599: "server_error",
	}
	for status, outcome := range want {
		if got := runtime.Classify(&http.Response{StatusCode: status}, nil, true); got != outcome {
			t.Errorf("%d is %s, want %s", status, got, outcome)
		}
	}
	for status := 200; status < 1000; status++ {
		if _, ok := runtime.Classify(&http.Response{StatusCode: status}, nil, true).Rule(); !ok {
			t.Errorf("%d has no row", status)
		}
	}
	for name, c := range map[string]struct{ header, value, want string }{
		"retry after":     {"Retry-After", "60", "throttled"},
		"none left":       {"X-Ratelimit-Remaining", "0", "throttled"},
		"some left":       {"X-Ratelimit-Remaining", "10", "forbidden"},
		"another dialect": {"Ratelimit-Remaining", " 0", "throttled"},
	} {
		if got := runtime.Classify(&http.Response{StatusCode: 403, Header: http.Header{c.header: {c.value}}}, nil, true); string(got) != c.want {
			t.Errorf("403, %s: %s, want %s", name, got, c.want)
		}
	}
}

func TestClassifyError(t *testing.T) {
	t.Parallel()
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	read := func(err error) error { return &net.OpError{Op: "read", Net: "tcp", Err: err} }
	for name, c := range map[string]struct {
		err   error
		wrote bool
		want  runtime.Outcome
	}{
		"refused":           {dial(syscall.ECONNREFUSED), false, "connect_failed"},
		"dial timeout":      {dial(os.ErrDeadlineExceeded), false, "connect_failed"},
		"no such host":      {dial(&net.DNSError{IsNotFound: true}), false, "connect_failed"},
		"egress":            {dial(fmt.Errorf("control: %w", &egress.DeniedError{})), false, "rejected_local"},
		"authority":         {x509.UnknownAuthorityError{}, false, "tls_failed"},
		"host name":         {fmt.Errorf("x: %w", x509.HostnameError{}), false, "tls_failed"},
		"expired":           {&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{}}, false, "tls_failed"},
		"not TLS":           {tls.RecordHeaderError{}, false, "tls_failed"},
		"our certificate":   {&net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}, true, "tls_failed"},
		"another alert":     {&net.OpError{Op: "remote error", Err: errors.New("tls: internal error")}, true, "reset"},
		"reset, sent":       {read(syscall.ECONNRESET), true, "reset"},
		"end, sent":         {io.EOF, true, "reset"},
		"short, sent":       {io.ErrUnexpectedEOF, true, "reset"},
		"unknown, sent":     {errors.New("malformed"), true, "reset"},
		"unknown, not sent": {errors.New("whatever"), false, "connect_failed"},
		"read timeout":      {read(os.ErrDeadlineExceeded), true, "timeout"},
		"deadline":          {context.DeadlineExceeded, true, "timeout"},
		"canceled":          {fmt.Errorf("x: %w", context.Canceled), true, "canceled"},
	} {
		if got := runtime.Classify(nil, c.err, c.wrote); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if got := runtime.Classify(nil, nil, false); got != runtime.OutcomeRejectedLocal {
		t.Errorf("nothing at all is %s", got)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	seen := map[runtime.Outcome]bool{}
	for _, r := range runtime.Rules() {
		if seen[r.Outcome] || r.Label == "" || r.Label != r.Outcome.Label() {
			t.Errorf("the row of %q is not the only one, or has no label", r.Outcome)
		}
		seen[r.Outcome] = true
		if r.Outcome.Failure() != (r.Breaker == runtime.VerdictFailure) {
			t.Errorf("%s: Failure() = %v", r.Outcome, r.Outcome.Failure())
		}
		if got, ok := runtime.ParseOutcome(string(r.Outcome)); !ok || got != r.Outcome {
			t.Errorf("%s does not parse", r.Outcome)
		}
		// What we did ourselves, and what the caller did, never counts against the upstream.
		if (r.Outcome == runtime.OutcomeCanceled || r.Outcome == runtime.OutcomeRejectedLocal) && r.Breaker != runtime.VerdictExcluded {
			t.Errorf("%s counts against the upstream", r.Outcome)
		}
		if r.Retry == runtime.RetryAny && r.Limiter != runtime.LimitRefund {
			t.Errorf("%s may always be repeated, so nothing was sent; its token is due", r.Outcome)
		}
	}
	if len(seen) != 15 {
		t.Errorf("%d outcomes", len(seen))
	}
	if _, ok := runtime.ParseOutcome("nonsense"); ok || runtime.Outcome("nonsense").Failure() || runtime.Outcome("nonsense").Label() != "nonsense" {
		t.Error("an unknown outcome has a row")
	}
}
