package oauth

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// Whatever a token endpoint says, it is a token, or an error whose code is known.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", tokenAnswer)
	f.Add(400, "application/json", `{"error":"invalid_grant"}`)
	f.Add(200, "application/x-www-form-urlencoded", "access_token=a&scope=a,b")
	f.Add(200, "text/html", "<html>")
	f.Add(502, "", "")
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		a := answer{status: status, fields: parse(contentType, []byte(body))}
		token, err := a.token(StepToken)
		if err == nil {
			if token.Access == "" || status/100 != 2 || token.ExpiresIn < 0 || slices.Contains(token.Scopes, "") && !strings.Contains(body, `""`) {
				t.Errorf("%d %q: a token that is none", status, body)
			}
			return
		}
		e := failed(t, err)
		if !slices.Contains(append(registeredCodes(), CodeServerError, CodeBadAnswer, CodeRefused), e.Code) {
			t.Errorf("code %q", e.Code)
		}
		if e.Unknown && !mayHaveActed(status) {
			t.Errorf("%d: unknown", status)
		}
	})
}

// Whatever the browser brings, it is a code of the server that was asked, or an error.
func FuzzCallback(f *testing.F) {
	for _, query := range []string{"code=c&state=s&iss=https://as.example", "error=access_denied", "code=a&code=b", "iss=&code=c", "%zz", "code=c;state=s"} {
		f.Add(query, true)
		f.Add(query, false)
	}
	f.Fuzz(func(t *testing.T, query string, required bool) {
		values, _ := url.ParseQuery(query)
		back, _ := CallbackOf(values)
		const issuer = "https://as.example"
		err := back.Check(Config{Issuer: issuer}, required)
		if err != nil {
			_ = failed(t, err)
			return
		}
		if back.Code == "" || back.Error != "" || len(values["code"]) != 1 || required && back.Issuer != issuer || back.Issuer != "" && back.Issuer != issuer {
			t.Errorf("%q is taken for a code", query)
		}
	})
}

func FuzzSeconds(f *testing.F) {
	for _, text := range []string{"3600", "-1", "0", "3599.9", "1e3", "1e308", "0x10", "inf", "NaN", "1h", "5m", "", " 60 ", "1_000", "+5", ".5", "--1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, v := range []any{text, json.Number(text)} {
			got := seconds(v)
			if got < 0 || got > 10*365*24*time.Hour || got%time.Second != 0 {
				t.Errorf("%q is %s", text, got)
			}
			if got != 0 && strings.ContainsFunc(strings.TrimSpace(text), func(r rune) bool { return !strings.ContainsRune("0123456789.+eE-", r) }) {
				t.Errorf("%q is %s", text, got)
			}
		}
	})
}

// Whatever a metadata document says: no address that is none, and none that is less safe than the document.
func FuzzMetadata(f *testing.F) {
	f.Add(`{"issuer":"https://as.example","token_endpoint":"https://as.example/token","authorization_endpoint":"http://as.example/a"}`)
	f.Add(`{"issuer":"https://as.example","token_endpoint":"javascript:alert(1)","authorization_endpoint":"https://u:p@as.example/a"}`)
	f.Fuzz(func(t *testing.T, body string) {
		m, ok := metadataOf(answer{status: http.StatusOK, fields: parse("application/json", []byte(body))}, "https://as.example", "https://as.example/x")
		if ok && (!sameIssuer(m.Issuer, "https://as.example") || m.TokenURL == "" && m.AuthorizeURL == "") {
			t.Errorf("%+v", m)
		}
		for _, address := range []string{m.AuthorizeURL, m.TokenURL, m.RevokeURL, m.DeviceURL, m.RegisterURL} {
			if address != "" && !strings.HasPrefix(address, "https:") {
				t.Errorf("%q", address)
			}
		}
	})
}
