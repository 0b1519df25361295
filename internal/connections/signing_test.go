package connections

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/telemetry"
)

// unrecorded is a recorder of nothing.
type unrecorded struct{}

func (unrecorded) Record(runtime.Record) {}

// gatewayOf is the gateway of a world: /{slug}/{path}, with the account in Switchgear-Account.
func gatewayOf(w *world) *httptest.Server {
	w.t.Helper()
	protections, err := runtime.NewProtections(runtime.ProtectionsDeps{
		Logger: telemetry.Discard(), Now: time.Now, Changed: func(context.Context, []breaker.Event) {},
	}, runtime.ProtectionsConfig{})
	must(w.t, err)
	proxy := runtime.NewProxy(runtime.ProxyDeps{Logger: telemetry.Discard(), Now: time.Now, Recorder: unrecorded{}, Protections: protections}, runtime.ProxyConfig{})
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		slug, path, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
		target, err := w.Target(slug, r.Header.Get("Switchgear-Account"))
		if err == nil {
			err = proxy.Serve(rw, r, target, path)
		}
		if err != nil {
			fault.WriteJSON(rw, r, err, "")
		}
	}))
	w.t.Cleanup(s.Close)
	return s
}

// through makes a call through a gateway and returns the status and the code of an error of ours.
func through(t *testing.T, s *httptest.Server, method, target, account string, body io.Reader) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+target, body)
	must(t, err)
	r.Header.Set("Authorization", "Bearer sg_caller")
	r.Header.Set("X-Amz-Date", "20200101T000000Z") // The caller's own would make the signature another one.
	if account != "" {
		r.Header.Set("Switchgear-Account", account)
	}
	resp, err := s.Client().Do(r)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	must(t, err)
	return resp.StatusCode, resp.Header.Get(runtime.ErrorHeader)
}

// awsSigned computes the signature of a request anew, from what came over the wire.
func awsSigned(r *http.Request, secret string) bool {
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ", ") {
		name, value, _ := strings.Cut(part, "=")
		parts[name] = value
	}
	_, scope, _ := strings.Cut(parts["Credential"], "/")
	body, err := io.ReadAll(r.Body)
	if err != nil || scheme != "AWS4-HMAC-SHA256" {
		return false
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	path, query, _ := strings.Cut(r.RequestURI, "?")
	if strings.Contains(scope, "/s3/") {
		if hash = r.Header.Get("X-Amz-Content-Sha256"); hash != "UNSIGNED-PAYLOAD" && hash != hex.EncodeToString(sum[:]) {
			return false
		}
	} else {
		path = strings.ReplaceAll(path, "%", "%25")
	}
	// The tests send queries in canonical form.
	var canonical strings.Builder
	canonical.WriteString(r.Method + "\n" + path + "\n" + query + "\n")
	for name := range strings.SplitSeq(parts["SignedHeaders"], ";") {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		canonical.WriteString(name + ":" + value + "\n")
	}
	canonical.WriteString("\n" + parts["SignedHeaders"] + "\n" + hash)
	sum = sha256.Sum256([]byte(canonical.String()))
	key := []byte("AWS4" + secret)
	for _, text := range append(strings.Split(scope, "/"), "AWS4-HMAC-SHA256\n"+r.Header.Get("X-Amz-Date")+"\n"+scope+"\n"+hex.EncodeToString(sum[:])) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		key = mac.Sum(nil)
	}
	return parts["Signature"] == hex.EncodeToString(key)
}

// A connection signs what goes out by AWS Signature Version 4, and the upstream computes the same: with a
// body and without, of known length or not, for calls, tests of the connection and health checks.
func TestCallsAreSigned(t *testing.T) {
	t.Parallel()
	var right atomic.Int64
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !awsSigned(r, canary) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		right.Add(1)
	}))
	defer up.Close()
	w := newWorld(t)
	for slug, service := range map[string]string{"lambda": "lambda", "minio": "s3"} {
		d := draft(slug)
		d.BaseURL = up.URL
		d.Auth = Auth{Type: "aws_sigv4", Fields: map[string]string{
			"access_key_id": "AKIDEXAMPLE", "secret_access_key": canary, "region": "eu-central-1", "service": service,
		}}
		_, err := w.Create(t.Context(), admin(), d, "")
		must(t, err)
	}
	s := gatewayOf(w)
	for _, target := range []string{"/lambda/2015-03-31/functions/f%3Aone/invocations?a=1&b=%2F", "/minio/bucket/a%20key?uploads="} {
		for name, body := range map[string]io.Reader{
			"":                  nil,
			"a body":            strings.NewReader("hello"),
			"of unknown length": io.MultiReader(strings.NewReader("hel"), strings.NewReader("lo")),
		} {
			if status, code := through(t, s, http.MethodPost, target, "", body); status != http.StatusOK {
				t.Errorf("%s, %s: %d %s", target, name, status, code)
			}
		}
	}
	target, err := w.Target("lambda", "")
	must(t, err)
	if got := runtime.Probe(t.Context(), target, http.MethodGet, "/2015-03-31/functions?MaxItems=1"); got.Status != http.StatusOK {
		t.Errorf("probe: %+v", got)
	}
	if right.Load() != 7 {
		t.Errorf("%d requests were signed right", right.Load())
	}
	if strings.Contains(w.logs.String(), canary) {
		t.Error("the log holds the secret")
	}
}

// The form of a call takes part in its signature by OAuth 1; other bodies stream.
func TestCallsAreSignedByOAuth1(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 1)
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // What came is in the request.
		got <- r
	}))
	defer up.Close()
	w := newWorld(t)
	d := draft("x")
	d.BaseURL = up.URL
	d.Auth = Auth{Type: "oauth1", Fields: map[string]string{"consumer_key": "ck", "consumer_secret": canary, "signature_method": "HMAC-SHA256"}}
	_, err := w.Create(t.Context(), admin(), d, "")
	must(t, err)
	target, err := w.Target("x", "")
	must(t, err)
	if target.SignsBody == nil || target.SignsBody("application/json") || !target.SignsBody("application/x-www-form-urlencoded") {
		t.Error("the wrong bodies are kept")
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, gatewayOf(w).URL+"/x/update?b=2", strings.NewReader("status=hi+there"))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	_ = resp.Body.Close()
	sent := <-got
	header := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimPrefix(sent.Header.Get("Authorization"), "OAuth "), ", ") {
		name, value, _ := strings.Cut(part, "=")
		header[name], _ = url.QueryUnescape(strings.Trim(value, `"`))
	}
	text := "b=2&oauth_consumer_key=ck&oauth_nonce=" + header["oauth_nonce"] + "&oauth_signature_method=HMAC-SHA256&oauth_timestamp=" +
		header["oauth_timestamp"] + "&oauth_version=1.0&status=hi%20there"
	mac := hmac.New(sha256.New, []byte(canary+"&"))
	mac.Write([]byte("POST&" + url.QueryEscape(up.URL+"/update") + "&" + url.QueryEscape(text)))
	if want := base64.StdEncoding.EncodeToString(mac.Sum(nil)); header["oauth_signature"] != want || sent.PostForm.Get("status") != "hi there" {
		t.Errorf("signature %q, want %q; form %v", header["oauth_signature"], want, sent.PostForm)
	}
}
