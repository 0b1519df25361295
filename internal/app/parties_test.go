package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v79"
	"github.com/stripe/stripe-go/v79/client"

	"switchgear/internal/telemetry"
)

const stripeSecret = "sk_test_4711canary0815"

// stripeMock starts Stripe's own stand-in, which knows the whole API of Stripe and refuses what would not
// fit it. It returns its URL.
func stripeMock(t *testing.T) string {
	t.Helper()
	const help = "run make setup, which installs it into .bin"
	binary, err := filepath.Abs(filepath.Join("..", "..", ".bin", "stripe-mock"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-http-addr", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("stripe-mock is missing (%v): %s", err, help)
	}
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if found := address.FindString(lines.Text()); found != "" && !strings.HasSuffix(found, ":0") {
			t.Cleanup(func() { _ = cmd.Wait() }) // The end of the test kills it.
			return "http://" + found
		}
	}
	t.Fatalf("stripe-mock says no address (%v): %s", lines.Err(), help)
	return ""
}

// party starts a console with one connection, and returns it with a key that may call it.
func party(t *testing.T, provider, slug, baseURL, secret string) (*process, string) {
	t.Helper()
	base, err := url.Parse(baseURL)
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, map[string]string{"EGRESS_ALLOW": "127.0.0.1=127.0.0.0/8:" + base.Port()})
	made := p.owner(t).post("/connections/new", url.Values{
		"provider": {provider}, "name": {slug}, "slug": {slug}, "environment": {"development"}, "kind": {"rest"},
		"base_url": {baseURL}, "auth_type": {"bearer"}, "auth.token": {secret},
	})
	if made.path != "/connections/"+slug {
		t.Fatalf("create: %d at %s\n%s", made.status, made.path, made.body)
	}
	key, err := Administer(t.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "shop", Scopes: []string{"call:" + slug}})
	if err != nil {
		t.Fatal(err)
	}
	return p, key.Key
}

// stripeClient is Stripe's official client as its users make it, with another URL and another key. Later
// major versions of it refuse every URL that has a path, whatever answers there.
func stripeClient(p *process, key string) *client.API {
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: new(p.url("/proxy/stripe")), LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})
	return client.New(key, &stripe.Backends{API: backend, Connect: backend, Uploads: backend})
}

// Stripe's official client works through the gateway with only its URL and its key changed.
func TestStripeClientThroughTheGateway(t *testing.T) {
	t.Parallel()
	mock := stripeMock(t)
	p, key := party(t, "stripe", "stripe", mock, stripeSecret)
	api := stripeClient(p, key)

	// Nested parameters, characters that must be escaped, an idempotency key, another account of theirs.
	params := &stripe.CustomerParams{
		Email: new("jenny+rosen@example.com"), Name: new("Jenny Ré & Söhne"),
		Address: &stripe.AddressParams{City: new("Köln"), Line1: new("1 % & = ?")},
	}
	params.AddMetadata("order", "6735/a%2Fb")
	params.SetIdempotencyKey("key-4711")
	params.SetStripeAccount("acct_123")
	customer, err := api.Customers.New(params)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	if customer.Object != "customer" || !strings.HasPrefix(customer.ID, "cus_") || customer.LastResponse.IdempotencyKey != "key-4711" {
		t.Errorf("customer %+v, %+v", customer, customer.LastResponse)
	}
	for name, want := range map[string]string{"Switchgear-Attempts": "1", "Stripe-Mock-Version": "master", "Request-Id": customer.LastResponse.RequestID} {
		if got := customer.LastResponse.Header.Values(name); len(got) != 1 || got[0] != want || want == "" {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if found, err := api.Customers.Get(customer.ID, nil); err != nil || found.Object != "customer" {
		t.Errorf("retrieve: %+v, %v", found, err)
	}
	if _, err := api.Customers.Update(customer.ID, &stripe.CustomerParams{Description: new("updated")}); err != nil {
		t.Errorf("update: %v", err)
	}
	if gone, err := api.Customers.Del(customer.ID, nil); err != nil || !gone.Deleted {
		t.Errorf("delete: %+v, %v", gone, err)
	}
	query := &stripe.ChargeListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThan: 1}}
	query.Limit = new(int64(3))
	query.AddExpand("data.customer")
	charges, list := 0, api.Charges.List(query)
	for list.Next() {
		if list.Charge().Object != "charge" {
			t.Errorf("charge %+v", list.Charge())
		}
		charges++
	}
	if err := list.Err(); err != nil || charges == 0 {
		t.Errorf("%d charges, %v", charges, err)
	}
	intent, err := api.PaymentIntents.New(&stripe.PaymentIntentParams{
		Amount: new(int64(2000)), Currency: new("eur"), PaymentMethodTypes: []*string{new("card")},
	})
	if err != nil || intent.Object != "payment_intent" {
		t.Errorf("payment intent: %+v, %v", intent, err)
	}

	// Stripe's own errors arrive as Stripe's.
	_, err = api.PaymentIntents.New(&stripe.PaymentIntentParams{Currency: new("eur")})
	if refused, ok := errors.AsType[*stripe.Error](err); !ok || refused.HTTPStatusCode != http.StatusBadRequest || refused.LastResponse.Header.Get("Switchgear-Error") != "" {
		t.Errorf("an intent without amount: %v", err)
	}
	// Ours can be told from them, and the client understands that it is refused.
	_, err = stripeClient(p, "sg_wrong").Customers.Get("cus_1", nil)
	if refused, ok := errors.AsType[*stripe.Error](err); !ok || refused.HTTPStatusCode != http.StatusUnauthorized ||
		refused.LastResponse.Header.Get("Switchgear-Error") != "INVALID_API_KEY" {
		t.Errorf("with a wrong key: %v", err)
	}
}

// curl runs the command as people do, and returns the answer's body, then its version and status.
func curl(ctx context.Context, t *testing.T, args ...string) (body, version, status string) {
	t.Helper()
	binary, err := exec.LookPath("curl")
	if err != nil {
		t.Fatalf("curl is missing: run make setup, or apt-get install curl (%v)", err)
	}
	cmd := exec.CommandContext(ctx, binary, append([]string{"--silent", "--show-error", "--max-time", "30", "--noproxy", "*", "--write-out", "\n%{http_version} %{response_code}"}, args...)...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("curl %v: %v: %s", args, err, complaints.String())
	}
	text := string(out)
	end := strings.LastIndexByte(text, '\n')
	version, status, _ = strings.Cut(text[end+1:], " ")
	return text[:end], version, status
}

// curl reaches the gateway in every way that it knows without TLS: plain, with the offer of h2c that
// --http2 sends along and nobody has to take up, and over HTTP/2 from the first byte.
func TestCurlThroughTheGateway(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	p, key := party(t, "generic-rest", "orders", up.URL, upstreamSecret)
	for flag, version := range map[string]string{"--http1.0": "1", "--http1.1": "1.1", "--http2": "1.1", "--http2-prior-knowledge": "2"} {
		for _, args := range [][]string{
			{"--header", "X-API-Key: " + key},
			{"--oauth2-bearer", key},
			{"--header", "Authorization: Bearer " + key, "--data-binary", "hello"},
			{"--header", "Authorization: Bearer " + key, "--header", "Expect: 100-continue", "--data-binary", "hello"},
			{"--header", "Authorization: Bearer " + key, "--header", "Transfer-Encoding: chunked", "--data-binary", "hello", "--request", "PUT"},
		} {
			if flag == "--http1.0" && len(args) > 4 {
				continue // It knows neither of the two.
			}
			sent := ""
			if len(args) > 2 {
				sent = "hello"
			}
			body, got, status := curl(t.Context(), t, append(args, flag, p.url("/proxy/orders/v1/a%2Fb?x=1"))...)
			want := fmt.Sprintf(`{"path":"/v1/a%%2Fb","query":"x=1","body":%q,"key":""}`, sent)
			if status != "200" || got != version || body != want {
				t.Errorf("%s %v: HTTP/%s, %s, %s; want HTTP/%s and %s", flag, args, got, status, body, version, want)
			}
		}
	}
	if body, version, status := curl(t.Context(), t, "--http2-prior-knowledge", "--fail-with-body", p.url("/livez")); status != "200" || version != "2" || !strings.Contains(body, "alive") {
		t.Errorf("health over HTTP/2: HTTP/%s, %s, %s", version, status, body)
	}
}

// What follows the connection reaches the upstream as it was written: no part of the way cleans it up or
// answers with a redirect to what it takes for the same.
func TestPathsReachTheUpstreamAsWritten(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	p, key := party(t, "generic-rest", "orders", up.URL+"/base", upstreamSecret)
	for sent, want := range map[string]string{
		"":                     "/base",
		"/":                    "/base",
		"//evil.test/x":        "/base//evil.test/x",
		"/a//b/":               "/base/a//b/",
		"/a/../b":              "/base/a/../b",
		"/a/./b":               "/base/a/./b",
		"/a%2Fb":               "/base/a%2Fb",
		"/http://evil.test/":   "/base/http://evil.test/",
		"/@evil.test":          "/base/@evil.test",
		`/%5Cevil.test`:        "/base/%5Cevil.test",
		"/a;v=1,2/b:c":         "/base/a;v=1,2/b:c",
		"/..%3b/x":             "",
		"/../x":                "",
		"/%2e%2e/x":            "",
		"/a/%2e%2e/%2e%2e/x":   "",
		"/..;/x":               "",
		"/%252e%252e%252fx":    "",
		"/a%0d%0aHost:%20evil": "/base/a%0d%0aHost:%20evil",
	} {
		for _, target := range []string{"/proxy/orders" + sent, "http://evil.test/proxy/orders" + sent} { // absolute-form, too
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: evil.test\r\nX-API-Key: %s\r\nConnection: close\r\n\r\n", target, key)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("%s: %v", target, err)
			}
			var got struct{ Path string }
			err = json.NewDecoder(resp.Body).Decode(&got)
			_ = resp.Body.Close()
			_ = conn.Close()
			switch {
			case err != nil:
				t.Errorf("%s: %d, %v", target, resp.StatusCode, err)
			case want == "" && (resp.StatusCode != http.StatusBadRequest || resp.Header.Get("Switchgear-Error") != "INVALID_PATH"):
				t.Errorf("%s: %d %q, want it refused", target, resp.StatusCode, resp.Header.Get("Switchgear-Error"))
			case want != "" && (resp.StatusCode != http.StatusOK || got.Path != want):
				t.Errorf("%s: %d, the upstream saw %q, want %q", target, resp.StatusCode, got.Path, want)
			}
		}
	}
}
