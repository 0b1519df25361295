package sandbox

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// tokenClient is the client that shows itself at the token endpoint, by Basic or in the form.
func (s *Sandbox) tokenClient(r *http.Request, form url.Values) (Client, bool) {
	id, secret, basic := r.BasicAuth()
	if basic { // RFC 6749 2.3.1: both are form-encoded first.
		var err1, err2 error
		id, err1 = url.QueryUnescape(id)
		secret, err2 = url.QueryUnescape(secret)
		if err1 != nil || err2 != nil || form.Has("client_secret") {
			return Client{}, false
		}
	} else {
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	c, ok := s.cfg.OAuth.client(id)
	return c, ok && same(secret, c.Secret.Reveal())
}

func unknownClient() answer {
	a := oauthError(http.StatusUnauthorized, "invalid_client", "The client is unknown or its secret is wrong.")
	a.header.Set("WWW-Authenticate", `Basic realm="sandbox"`)
	return a
}

func invalidGrant(description string) answer {
	return oauthError(http.StatusBadRequest, "invalid_grant", description)
}

func (s *Sandbox) token(r *http.Request, form url.Values) answer {
	c, ok := s.tokenClient(r, form)
	if !ok {
		return unknownClient()
	}
	switch form.Get("grant_type") {
	case grantCode:
		return s.exchangeCode(c, form)
	case grantRefresh:
		return s.refreshTokens(c, form)
	case grantCredentials:
		if c.Secret.IsZero() {
			return oauthError(http.StatusBadRequest, "unauthorized_client", "A public client has no credentials.")
		}
		scope, known := s.granted(form.Get("scope"))
		if !known {
			return oauthError(http.StatusBadRequest, "invalid_scope", "There is no such scope.")
		}
		return s.issue(&grant{client: c.ID, scope: scope}, "")
	case grantDevice:
		return s.exchangeDevice(c, form)
	}
	return oauthError(http.StatusBadRequest, "unsupported_grant_type", "There is no such grant.")
}

// exchangeCode gives tokens for a code, once. A second use ends the tokens of the first (RFC 6749 4.1.2).
func (s *Sandbox) exchangeCode(c Client, form url.Values) answer {
	found, ok := s.oauth.codes[form.Get("code")]
	if !ok || found.grant.client != c.ID {
		return invalidGrant("There is no such code.")
	}
	if found.used {
		found.grant.ended = true
		return invalidGrant("The code was used before; its tokens are ended.")
	}
	found.used = true
	switch {
	case !s.now().Before(found.expires):
		return invalidGrant("The code has expired.")
	case form.Get("redirect_uri") != found.redirectURI:
		return invalidGrant("The redirect URI is another one.")
	case !verifies(form.Get("code_verifier"), found.challenge):
		return invalidGrant("The code verifier does not fit.")
	}
	return s.issue(found.grant, s.newRefresh(found.grant))
}

func (s *Sandbox) refreshTokens(c Client, form url.Values) answer {
	text := form.Get("refresh_token")
	found, ok := s.oauth.refresh[text]
	switch {
	case !ok || found.grant.client != c.ID || found.grant.ended:
		return invalidGrant("The refresh token is not valid.")
	case found.used:
		found.grant.ended = true
		return invalidGrant("The refresh token was used before; every token of its grant is ended.")
	case !s.cfg.OAuth.RotateRefresh:
		return s.issue(found.grant, text)
	}
	found.used = true
	return s.issue(found.grant, s.newRefresh(found.grant))
}

func (s *Sandbox) newRefresh(g *grant) string {
	text := "rt_" + rand.Text()
	s.oauth.refresh[text] = &refresh{grant: g}
	return text
}

// issue gives an access token; refreshToken is empty for a grant without one.
func (s *Sandbox) issue(g *grant, refreshToken string) answer {
	lifetime := s.cfg.OAuth.TokenLifetime
	if lifetime <= 0 {
		lifetime = defaultTokenLifetime
	}
	token := "at_" + rand.Text()
	s.oauth.access[token] = access{grant: g, expires: s.now().Add(lifetime)}
	body := map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(lifetime.Seconds()), "scope": g.scope}
	if refreshToken != "" {
		body["refresh_token"] = refreshToken
	}
	a := jsonAnswer(http.StatusOK, body)
	a.header.Set("Cache-Control", "no-store")
	return a
}

// revoke ends a grant by one of its tokens. A token that is unknown is as good as revoked (RFC 7009 2.2).
func (s *Sandbox) revoke(r *http.Request, form url.Values) answer {
	c, ok := s.tokenClient(r, form)
	if !ok {
		return unknownClient()
	}
	text := form.Get("token")
	if t, ok := s.oauth.refresh[text]; ok && t.grant.client == c.ID {
		t.grant.ended = true
	}
	if t, ok := s.oauth.access[text]; ok && t.grant.client == c.ID {
		delete(s.oauth.access, text)
	}
	return answer{status: http.StatusOK, header: http.Header{"Cache-Control": {"no-store"}}}
}

func (s *Sandbox) authorizeDevice(r *http.Request, form url.Values) answer {
	c, ok := s.tokenClient(r, form)
	if !ok {
		return unknownClient()
	}
	scope, known := s.granted(form.Get("scope"))
	if !known {
		return oauthError(http.StatusBadRequest, "invalid_scope", "There is no such scope.")
	}
	text := rand.Text()
	deviceCode, userCode := "dc_"+rand.Text(), text[:4]+"-"+text[4:8]
	s.oauth.devices[deviceCode] = &device{
		grant: &grant{client: c.ID, scope: scope}, userCode: userCode, expires: s.now().Add(deviceLifetime),
	}
	at := issuer(r) + pathDevice
	return jsonAnswer(http.StatusOK, map[string]any{
		"device_code": deviceCode, "user_code": userCode, "verification_uri": at,
		"verification_uri_complete": at + "?user_code=" + url.QueryEscape(userCode),
		"expires_in":                int(deviceLifetime.Seconds()), "interval": int(deviceInterval.Seconds()),
	})
}

func (s *Sandbox) deviceByUserCode(form url.Values) (*device, bool) {
	asked := strings.ToUpper(strings.TrimSpace(form.Get("user_code")))
	for _, d := range s.oauth.devices {
		if d.userCode == asked && d.decision == "" && s.now().Before(d.expires) {
			return d, true
		}
	}
	return nil, false
}

func (s *Sandbox) askDevice(_ *http.Request, form url.Values) answer {
	d, ok := s.deviceByUserCode(form)
	if !ok {
		return problemPage("There is no device waiting for this code.")
	}
	return consentPage(consentView{
		Client: d.grant.client, Scope: d.grant.scope, Action: pathDevice, Fields: map[string]string{"user_code": d.userCode},
	})
}

func (s *Sandbox) decideDevice(_ *http.Request, form url.Values) answer {
	d, ok := s.deviceByUserCode(form)
	if !ok {
		return problemPage("There is no device waiting for this code.")
	}
	d.decision = "deny"
	if form.Get("decision") == "approve" {
		d.decision = "approve"
	}
	return donePage("You can go back to the device.")
}

func (s *Sandbox) exchangeDevice(c Client, form url.Values) answer {
	text, now := form.Get("device_code"), s.now()
	d, ok := s.oauth.devices[text]
	if !ok || d.grant.client != c.ID {
		return invalidGrant("There is no such device code.")
	}
	early := !d.asked.IsZero() && now.Sub(d.asked) < deviceInterval-time.Second
	d.asked = now
	waiting := func(code string) answer { return oauthError(http.StatusBadRequest, code, "See RFC 8628 3.5.") }
	switch {
	case !now.Before(d.expires):
		return waiting("expired_token")
	case d.decision == "deny":
		return waiting("access_denied")
	case d.decision == "approve":
		delete(s.oauth.devices, text)
		return s.issue(d.grant, s.newRefresh(d.grant))
	case early:
		return waiting("slow_down")
	}
	return waiting("authorization_pending")
}
