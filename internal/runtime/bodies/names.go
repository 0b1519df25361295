package bodies

import (
	"strings"
	"unicode"

	"switchgear/internal/telemetry"
)

// judge says which names of fields hold secrets. It remembers, because texts repeat their names.
type judge struct {
	known map[string]bool
	// oauth is true for the exchange of a code: there, code is as good as a token.
	oauth bool
}

func (j *judge) secret(name string) bool {
	if len(name) > 128 {
		return false // no name that somebody chose for a field
	}
	is, ok := j.known[name]
	if !ok {
		is = secretName(name) || j.oauth && strings.EqualFold(name, "code")
		j.known[name] = is
	}
	return is
}

// secretName errs on the side of hiding, as the one for headers does; but bodies have many more names, and
// one that only mentions a secret (token_type, key_id, author) is what somebody looks for in a log.
func secretName(name string) bool {
	if telemetry.IsSecretKey(name) {
		return true
	}
	words := split(name)
	if len(words) == 0 {
		return false
	}
	joined, last := strings.Join(words, ""), words[len(words)-1]
	for _, part := range []string{"password", "passwd", "passphrase", "passcode", "apikey", "accesskey", "privatekey", "secretkey", "clientsecret", "accesstoken", "refreshtoken", "idtoken", "authtoken", "sessionid", "sessionkey"} {
		if strings.Contains(joined, part) && !describes(last) {
			return true
		}
	}
	if describes(last) {
		return false
	}
	for _, w := range words {
		switch w {
		case "secret", "secrets", "password", "passwords", "pwd", "credential", "credentials", "authorization", "cookie", "cookies",
			"signature", "jwt", "assertion", "otp", "totp", "cvc", "cvv", "pin", "bearer", "mnemonic":
			return true
		}
	}
	switch last {
	case "token", "tokens", "sig", "session", "auth", "pass":
		return true
	case "key":
		return len(words) > 1 && !plainKey(words[len(words)-2])
	}
	return strings.HasSuffix(last, "token") || strings.HasSuffix(last, "secret")
}

// describes reports whether a name that ends in word is about a secret and not one.
func describes(word string) bool {
	switch word {
	case "type", "count", "expiry", "expires", "at", "in", "limit", "uri", "url", "endpoint", "method", "name", "status",
		"length", "hint", "version", "algorithm", "alg", "set", "required", "enabled", "supported":
		return true
	}
	return false
}

// plainKey reports whether a key of that sort is none that opens anything.
func plainKey(word string) bool {
	switch word {
	case "idempotency", "primary", "foreign", "sort", "partition", "public", "publishable", "cache", "dedupe", "object", "project", "issue", "translation", "message", "error", "routing":
		return true
	}
	return false
}

// split cuts a name into its words: access_token, accessToken, access-token, X.Access.Token.
func split(name string) []string {
	var words []string
	start, previous := -1, rune(0)
	add := func(end int) {
		if start >= 0 {
			words = append(words, strings.ToLower(name[start:end]))
		}
		start = -1
	}
	for i, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			add(i)
		case start >= 0 && unicode.IsUpper(r) && unicode.IsLower(previous):
			add(i)
			start = i
		case start < 0:
			start = i
		}
		previous = r
	}
	add(len(name))
	return words
}
