package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/bodies"
)

const vendorToken = "canary-vendor-token-0817"

// bench is a console in front of an upstream, with a connection to it.
type bench struct {
	*site

	upstream *httptest.Server
	owner    *http.Client
}

func newBench(t *testing.T, upstream http.HandlerFunc) *bench {
	t.Helper()
	up := httptest.NewServer(upstream)
	t.Cleanup(up.Close)
	_, port, err := net.SplitHostPort(up.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, "127.0.0.1=127.0.0.0/8:"+port)
	b := &bench{s, up, s.signedIn(t, access.RoleOwner)}
	if _, err := b.connections.Create(t.Context(), access.System(), connections.Draft{
		Name: "Up", Slug: "up", BaseURL: up.URL + "/base", Auth: connections.Auth{Type: "bearer", Fields: map[string]string{"token": vendorToken}},
	}, ""); err != nil {
		t.Fatal(err)
	}
	return b
}

// store runs the call log until what was recorded is stored, and returns what the log holds.
func (b *bench) store(t *testing.T) []runtime.Record {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cancel()
	if err := b.calls.Serve(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	page, err := b.calls.Search(t.Context(), calls.Query{})
	if err != nil {
		t.Fatal(err)
	}
	return page.Calls
}

func (b *bench) try(t *testing.T, client *http.Client, form url.Values, header ...string) (int, string) {
	t.Helper()
	status, _, text := b.do(t, client, http.MethodPost, "/connections/up/try", strings.NewReader(form.Encode()),
		append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
	return status, text
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-You-Are", r.Header.Get("Authorization"))
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprintf(w, `{"method":%q,"uri":%q,"body":%q,"type":%q,"extra":%q,"auth":%q}`,
		r.Method, r.RequestURI, body, r.Header.Get("Content-Type"), r.Header.Get("X-Extra"), r.Header.Get("Authorization"))
}

// What is entered goes through the pipeline, and what is shown, recorded and audited names who sent it and
// holds no credential.
func TestTrySends(t *testing.T) {
	t.Parallel()
	b := newBench(t, echo)
	operator := b.signedIn(t, access.RoleOperator)
	status, text := b.try(t, operator, url.Values{
		"method": {"POST"}, "path": {"/v1/a b/c%2Fd?x=1"}, "query": {"y=ä&z\r\nq\r\n"}, "headers": {"X-Extra: one\r\n\r\n"}, "body": {"{\"a\":\r\n1}"}, "account": {"default"},
	})
	if status != http.StatusOK {
		t.Fatalf("%d\n%s", status, text)
	}
	for _, want := range []string{
		"202 Accepted", "The upstream answered", "&#34;/base/v1/a%20b/c%2Fd?x=1&amp;y=%C3%A4%26z&amp;q&#34;", "application/json", "X-You-Are: [redacted]",
		"Authorization: [redacted]", "&#34;auth&#34;:&#34;[redacted]&#34;", "--data-raw", "$API_KEY", "wait",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(text, vendorToken) {
		t.Error("the page shows the credential")
	}
	records := b.store(t)
	if len(records) != 1 || records[0].UserName != "operator@example.com" || records[0].UserID == "" || records[0].KeyID != "" || records[0].Bodies != nil {
		t.Fatalf("recorded %+v", records)
	}
	if !strings.Contains(text, "/calls/"+records[0].ID) {
		t.Error("the page does not lead to the call")
	}
	entries, err := b.audit.Search(t.Context(), audit.Query{Action: "connection.send", Page: 1, Limit: 10})
	if err != nil || len(entries.Entries) != 1 {
		t.Fatalf("audit: %+v, %v", entries, err)
	}
	e := entries.Entries[0]
	if diff := cmp.Diff(map[string]string{"account": "default", "method": "POST", "path": "/v1/a%20b/c%2Fd", "call": records[0].ID}, e.Details); diff != "" || e.Actor.Name != "operator@example.com" {
		t.Errorf("audit: %s by %s (-want +got):\n%s", e.Target.Name, e.Actor.Name, diff)
	}
	// The call says who sent it, and leads back to the form.
	_, _, page := b.do(t, operator, http.MethodGet, "/calls/"+records[0].ID, nil)
	if !strings.Contains(page, "operator@example.com") || !strings.Contains(page, "/connections/up/try?from="+records[0].ID) {
		t.Error("the page of the call does not say who sent it or how to send it again")
	}
	_, _, page = b.do(t, b.signedIn(t, access.RoleViewer), http.MethodGet, "/calls/"+records[0].ID, nil)
	if strings.Contains(page, "/try") {
		t.Error("a viewer is offered to send it again")
	}
}

func TestTryChecksWhatIsEntered(t *testing.T) {
	t.Parallel()
	sent := false
	b := newBench(t, func(http.ResponseWriter, *http.Request) { sent = true })
	client := b.signedIn(t, access.RoleAdmin)
	for name, tt := range map[string]struct {
		form url.Values
		want string
	}{
		"method":          {url.Values{"method": {"BREW"}, "path": {"/"}}, "Choose one of the methods."},
		"whole address":   {url.Values{"method": {"GET"}, "path": {"https://evil.example/"}}, "Write the path only"},
		"line break":      {url.Values{"method": {"GET"}, "path": {"/a\nb"}}, "Write a path such as"},
		"fragment":        {url.Values{"method": {"GET"}, "path": {"/a#b"}}, "Write a path such as"},
		"HEAD with body":  {url.Values{"method": {"HEAD"}, "path": {"/"}, "body": {"x"}}, "A HEAD request has no body."},
		"no header":       {url.Values{"method": {"GET"}, "path": {"/"}, "headers": {"what is this"}}, "Write one header a line"},
		"control in it":   {url.Values{"method": {"GET"}, "path": {"/"}, "headers": {"X-A: a\rb"}}, "Write one header a line"},
		"own credential":  {url.Values{"method": {"GET"}, "path": {"/"}, "headers": {"authorization: Bearer mine"}}, "is not passed on"},
		"our own headers": {url.Values{"method": {"GET"}, "path": {"/"}, "headers": {"Switchgear-Account: x"}}, "is not passed on"},
	} {
		status, text := b.try(t, client, tt.form)
		if status != http.StatusBadRequest || !strings.Contains(text, tt.want) || !strings.Contains(text, "field-error") || !strings.Contains(text, "<!doctype html>") {
			t.Errorf("%s: page %d", name, status)
		}
		status, text = b.try(t, client, tt.form, "HX-Request", "true")
		if status != http.StatusOK || !strings.Contains(text, tt.want) || strings.Contains(text, "<!doctype html>") {
			t.Errorf("%s: fragment %d", name, status)
		}
	}
	if records := b.store(t); sent || len(records) > 0 {
		t.Errorf("something was sent: %v", records)
	}
	if status, _ := b.try(t, client, url.Values{"method": {"POST"}, "path": {"/"}, "body": {strings.Repeat("x", maxTryForm)}}); status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d", status)
	}
}

// What the gateway answers itself cannot be taken for the upstream's answer.
func TestTryTellsOurErrorsFromTheirs(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/base/abort" {
			_, _ = io.WriteString(w, "the beginning")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		if r.URL.Path == "/base/short" {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "the beginning")
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<script>alert(1)</script>")
	})
	client := b.owner
	const ours = "it is not the upstream&#39;s answer"
	if status, text := b.try(t, client, url.Values{"method": {"GET"}, "path": {"/"}}); status != http.StatusOK || strings.Contains(text, ours) ||
		!strings.Contains(text, "502 Bad Gateway") || !strings.Contains(text, "&lt;script&gt;alert(1)") || strings.Contains(text, "<script>alert(1)") {
		t.Errorf("an error of theirs: %d\n%s", status, text)
	}
	if status, text := b.try(t, client, url.Values{"method": {"GET"}, "path": {"/abort"}}); status != http.StatusOK || !strings.Contains(text, "The answer broke off") || !strings.Contains(text, "the beginning") {
		t.Errorf("an answer that breaks off: %d\n%s", status, text)
	}
	if status, text := b.try(t, client, url.Values{"method": {"GET"}, "path": {"/short"}}); status != http.StatusOK || !strings.Contains(text, "UPSTREAM_RESET") || !strings.Contains(text, ours) || !strings.Contains(text, "the beginning") {
		t.Errorf("an answer that is too short: %d\n%s", status, text)
	}
	if status, text := b.try(t, client, url.Values{"method": {"GET"}, "path": {"/"}, "account": {"nobody"}}); status != http.StatusOK || !strings.Contains(text, "ACCOUNT_NOT_FOUND") || !strings.Contains(text, ours) {
		t.Errorf("an unknown account: %d", status)
	}
	if _, err := b.connections.Pause(t.Context(), access.System(), "up", "test", 0); err != nil {
		t.Fatal(err)
	}
	if status, text := b.try(t, client, url.Values{"method": {"GET"}, "path": {"/"}}); status != http.StatusOK || !strings.Contains(text, "CONNECTION_PAUSED") || !strings.Contains(text, ours) {
		t.Errorf("paused: %d", status)
	}
	if _, err := b.connections.Resume(t.Context(), access.System(), "up", "test", 0); err != nil {
		t.Fatal(err)
	}
	b.upstream.Close()
	if status, text := b.try(t, client, url.Values{"method": {"GET"}, "path": {"/"}}); status != http.StatusOK || !strings.Contains(text, "UPSTREAM_CONNECT_FAILED") || !strings.Contains(text, ours) {
		t.Errorf("an upstream that is gone: %d", status)
	}
	if status, _, _ := b.do(t, client, http.MethodPost, "/connections/none/try", strings.NewReader("method=GET&path=/"), "Content-Type", "application/x-www-form-urlencoded"); status != http.StatusNotFound {
		t.Errorf("unknown connection: %d", status)
	}
}

// Whoever closes the page ends the call.
func TestTryEndsWithItsVisitor(t *testing.T) {
	t.Parallel()
	arrived, gone := make(chan struct{}), make(chan struct{})
	b := newBench(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(gone)
	})
	client := b.signedIn(t, access.RoleOperator)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.URL+"/connections/up/try", strings.NewReader("method=GET&path=/slow"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	failed := make(chan error, 1)
	go func() {
		resp, err := client.Do(r)
		if err == nil {
			_ = resp.Body.Close()
		}
		failed <- err
	}()
	<-arrived
	cancel()
	<-gone
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Long and binary answers are described; the call itself is whole.
func TestTryCapsWhatItShows(t *testing.T) {
	t.Parallel()
	const long = 300 << 10
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		if r.URL.Path == "/base/picture" {
			w.Header().Set("Content-Type", "image/png")
		}
		_, _ = io.WriteString(w, strings.Repeat("x", long))
	})
	client := b.signedIn(t, access.RoleOperator)
	if _, text := b.try(t, client, url.Values{"method": {"GET"}, "path": {"/"}}); !strings.Contains(text, "Cut: the first 256 KiB of 300 KiB.") || strings.Count(text, "x") < 256<<10 || strings.Count(text, "x") > 257<<10 {
		t.Errorf("a long answer: %d letters", strings.Count(text, "x"))
	}
	if _, text := b.try(t, client, url.Values{"method": {"GET"}, "path": {"/picture"}}); !strings.Contains(text, "Binary (image/png), 300 KiB: not shown.") {
		t.Error("a binary answer is not described")
	}
	for _, rec := range b.store(t) {
		if rec.ResponseBytes != long {
			t.Errorf("%s: %d bytes passed", rec.Path, rec.ResponseBytes)
		}
	}
}

// A recorded call comes back into the form without what is secret.
func TestTryFromACall(t *testing.T) {
	t.Parallel()
	b := newBench(t, echo)
	client := b.signedIn(t, access.RoleOperator)
	rec := runtime.Record{
		ID: "req_recorded", Slug: "up", ConnectionID: "con_x", Account: "acme", Method: "PUT", Path: "/v1/things", Query: "a=1%202&token=[redacted]",
		StartedAt: time.Now(), RequestBytes: 9, Outcome: runtime.OutcomeSuccess,
		RequestHeader: http.Header{"X-Extra": {"one"}, "Authorization": {"[redacted]"}, "X-Auth-Token": {"[redacted]"}, "User-Agent": {"app"}, "Content-Type": {"application/json"}},
		Bodies:        &runtime.Bodies{Request: bodies.Body{Text: `{"a":"b"}`}},
	}
	other := rec
	other.ID, other.Slug = "req_other", "elsewhere"
	b.calls.Record(rec)
	b.calls.Record(other)
	b.store(t)
	status, _, text := b.do(t, client, http.MethodGet, "/connections/up/try?from=req_recorded", nil)
	if status != http.StatusOK {
		t.Fatal(status)
	}
	_, form, _ := strings.Cut(text, `id="try-form"`)
	form, _, _ = strings.Cut(form, "</form>")
	for _, want := range []string{`value="PUT" selected`, `value="/v1/things"`, ">a=1 2<", "Content-Type: application/json\nX-Extra: one<", `{&#34;a&#34;:&#34;b&#34;}`} {
		if !strings.Contains(form, want) {
			t.Errorf("the form lacks %s", want)
		}
	}
	if strings.Contains(form, "redacted") || strings.Contains(form, "User-Agent") {
		t.Errorf("the form brings back what it should not:\n%s", form)
	}
	if !strings.Contains(text, "What was redacted is not here") {
		t.Error("the page does not say that something is missing")
	}
	for path, want := range map[string]int{"?from=req_other": http.StatusNotFound, "?from=req_none": http.StatusNotFound, "": http.StatusOK} {
		if status, _, _ := b.do(t, client, http.MethodGet, "/connections/up/try"+path, nil); status != want {
			t.Errorf("%q: %d", path, status)
		}
	}
}
