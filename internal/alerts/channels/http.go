package channels

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/webaddress"
)

// maxAnswer bounds what is read of an answer; none of it is kept.
const maxAnswer = 64 << 10

// maxRetryAfter bounds how long the other end may ask to be left alone.
const maxRetryAfter = 6 * time.Hour

// post sends a body and judges the answer.
func post(ctx context.Context, w Wire, to string, body []byte, header http.Header) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return &SendError{Text: "The URL cannot be used.", Permanent: true}
	}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "switchgear")
	r.Header = header
	resp, err := w.Client.Do(r)
	if err != nil {
		return &SendError{Text: words(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	// The connection can be used again once the answer is read; what is longer is not read to its end.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	return judge(resp, w.Now())
}

func judge(resp *http.Response, now time.Time) error {
	status := resp.StatusCode
	f := &SendError{Text: fmt.Sprintf("The receiver answered %d %s.", status, http.StatusText(status))}
	switch {
	case status >= 200 && status < 300:
		return nil
	case status >= 300 && status < 400:
		f.Text = fmt.Sprintf("The receiver answered %d: redirects are not followed.", status)
	case status == http.StatusGone:
		f.Gone, f.Permanent = true, true
		f.Text = "The receiver answered 410 Gone: it wants no more messages."
	case status == http.StatusTooManyRequests || status >= http.StatusInternalServerError:
		f.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	}
	return f
}

// retryAfter reads both forms of the header; what cannot be read counts as none.
func retryAfter(text string, now time.Time) time.Duration {
	if text == "" {
		return 0
	}
	var d time.Duration
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// words says how a connection failed. The text of the error may hold an address that is secret.
func words(err error) string {
	if denied, ok := errors.AsType[*egress.DeniedError](err); ok {
		return "The egress rules do not allow this address: " + denied.Reason + "."
	}
	if timeout, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout() {
		return "There was no answer in time."
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "The name of the host is not known."
	}
	for _, known := range []func(error) bool{
		is[x509.UnknownAuthorityError], is[x509.HostnameError], is[x509.CertificateInvalidError],
	} {
		if known(err) {
			return "The certificate of the server is not trusted."
		}
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "The connection was refused."
	}
	return "The connection failed."
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// checkURL judges the URL of a receiver. Where it may lead is judged whenever it is dialled.
func checkURL(text string) error {
	bad := func(message string) error { return fault.Field("INVALID_CHANNEL", FieldPath("url"), message) }
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Opaque != "" || u.Hostname() == "":
		return bad("It must be a URL that begins with https:// or http://.")
	case u.User != nil:
		return bad("It must not carry a user name or password.")
	case !webaddress.ValidPort(u):
		return bad("Its port is a number from 1 to 65535 without leading zeros, or left out with its colon.")
	case u.Fragment != "" || u.RawFragment != "":
		return bad("It must not have a # part.")
	}
	return nil
}
