package telemetry_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"switchgear/internal/telemetry"
)

const canary = "canary-7f3a9c"

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	type holder struct {
		Name  string
		Token telemetry.Secret
		Ptr   *telemetry.Secret
		List  []telemetry.Secret
		Map   map[string]telemetry.Secret
	}
	s := telemetry.NewSecret(canary)
	h := holder{Name: "stripe", Token: s, Ptr: &s, List: []telemetry.Secret{s}, Map: map[string]telemetry.Secret{"k": s}}

	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%X", "%d", "%t", "%10s", "%-4v", "%c", "%U", "%o", "%e"} {
		for name, value := range map[string]any{"value": s, "pointer": &s, "struct": h, "pointer to struct": &h, "slice": h.List, "map": h.Map} {
			if got := fmt.Sprintf(verb, value); leaks(got) {
				t.Errorf("%s of a %s gives it away: %s", verb, name, got)
			}
		}
	}
	if got := fmt.Errorf("call: %w", errors.New(s.String())).Error(); leaks(got) {
		t.Errorf("an error gives it away: %s", got)
	}
	for name, marshal := range map[string]func(any) ([]byte, error){"json": json.Marshal, "xml": func(any) ([]byte, error) { return xml.Marshal(s) }} {
		got, err := marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		if leaks(string(got)) || !strings.Contains(string(got), telemetry.Redacted) {
			t.Errorf("%s gives it away: %s", name, got)
		}
	}
	if s.Reveal() != canary {
		t.Errorf("Reveal() = %q", s.Reveal())
	}
}

// leaks looks for the canary as text, in hex and as the bytes that %d prints.
func leaks(s string) bool {
	hex := fmt.Sprintf("%x", canary)
	decimal := strings.Trim(fmt.Sprintf("%d", []byte(canary)), "[]")
	return strings.Contains(s, canary) || strings.Contains(strings.ToLower(s), hex) || strings.Contains(s, decimal)
}

func TestSecretReadsButNeverWritesBack(t *testing.T) {
	t.Parallel()
	var v struct{ Token telemetry.Secret }
	if err := json.Unmarshal([]byte(`{"Token":"`+canary+`"}`), &v); err != nil {
		t.Fatal(err)
	}
	if v.Token.Reveal() != canary || v.Token.IsZero() {
		t.Errorf("read %q", v.Token.Reveal())
	}
	empty := telemetry.Secret{}
	if got := empty.String(); got != "" || !empty.IsZero() {
		t.Errorf("an empty secret prints %q", got)
	}
}

func TestLoggerRedacts(t *testing.T) {
	t.Parallel()
	key := "sg_AbCdEf012345_" + strings.Repeat("x9Y8", 11) + "_0a1B2c"
	wrapped := fmt.Errorf("probe: %w", errors.New("upstream said: Authorization: Bearer "+canary+" is expired"))
	type payload struct{ Header string }
	// A message built at run time is against our own rules, and may still come from a dependency.
	say := func(l *slog.Logger, message string) {
		_ = l.Handler().Handle(t.Context(), slog.NewRecord(time.Now(), slog.LevelInfo, message, 0))
	}
	log := func(t *testing.T, do func(*slog.Logger)) string {
		t.Helper()
		var b bytes.Buffer
		do(telemetry.NewLogger(&b, slog.LevelDebug))
		if !json.Valid(b.Bytes()) || strings.Count(b.String(), "\n") != 1 {
			t.Errorf("not one line of JSON: %s", b.String())
		}
		return b.String()
	}
	for name, do := range map[string]func(*slog.Logger){
		"secret as any":      func(l *slog.Logger) { l.Info("x", "value", telemetry.NewSecret(canary)) },
		"secret by pointer":  func(l *slog.Logger) { s := telemetry.NewSecret(canary); l.Info("x", "value", &s) },
		"key names a secret": func(l *slog.Logger) { l.Info("x", "client_secret", canary) },
		"key in header form": func(l *slog.Logger) { key := "X-API-Key"; l.Info("x", key, canary) },
		"nested group": func(l *slog.Logger) {
			l.WithGroup("a").With("password", canary).WithGroup("b").Info("x", "token", canary)
		},
		"group value":         func(l *slog.Logger) { l.Info("x", slog.Group("credential", slog.String("password", canary))) },
		"any under a key":     func(l *slog.Logger) { l.Info("x", "authorization", []string{canary}) },
		"bearer in a message": func(l *slog.Logger) { say(l, "sent Bearer "+canary) },
		"bearer, other case":  func(l *slog.Logger) { say(l, "sent bEARER\t"+canary) },
		"bearer, quoted":      func(l *slog.Logger) { say(l, `sent Bearer "`+canary+`"`) },
		"bearer in an error":  func(l *slog.Logger) { l.Error("failed", "error", wrapped) },
		"bearer in a struct":  func(l *slog.Logger) { l.Info("x", "payload", payload{"Bearer " + canary}) },
		"bearer in a URL":     func(l *slog.Logger) { l.Info("x", "url", "/?h=Bearer%20"+canary+"&x=1") },
		"API key in message":  func(l *slog.Logger) { say(l, "got "+key) },
		"API key after break": func(l *slog.Logger) { say(l, "keys:\n"+key+"\n") },
		"API key in a group":  func(l *slog.Logger) { l.Info("x", slog.Group("g", slog.Any("e", errors.New(key)))) },
		"API key, truncated":  func(l *slog.Logger) { l.Info("x", "got", key[:40]) },
		"API key as map key":  func(l *slog.Logger) { l.Info("x", "m", map[string]int{key: 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := log(t, do)
			if strings.Contains(line, canary) || strings.Contains(line, "x9Y8x9Y8") {
				t.Errorf("the line gives it away: %s", line)
			}
			if !strings.Contains(line, telemetry.Redacted) {
				t.Errorf("nothing shows that something was left out: %s", line)
			}
		})
	}
}

func TestLoggerKeepsTheRest(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	telemetry.NewLogger(&b, slog.LevelInfo).Info("msg_count_of_everything", "token_expiry", "soon", "key_id", "sg_AbCdEf012345", "bearer", "none")
	for _, want := range []string{`"msg_count_of_everything"`, `"token_expiry":"soon"`, `"key_id":"sg_AbCdEf012345"`, `"bearer":"none"`, `Z","level"`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s is missing in %s", want, b.String())
		}
	}
	b.Reset()
	telemetry.NewLogger(&b, slog.LevelInfo).Info("the bearer ", slog.Group("g", "list", []string{"bearer "}))
	if !json.Valid(b.Bytes()) || strings.Contains(b.String(), telemetry.Redacted) {
		t.Errorf("masking ran over the end of a string: %s", b.String())
	}
	telemetry.Discard().Error("nothing happens")
}

func TestMask(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                     "",
		"plain":                "plain",
		"Bearer abc.def-1":     "Bearer [redacted]",
		"a bearer of bad news": "a bearer [redacted] bad news",
		"sg_AbCdEf012345_" + strings.Repeat("a", 43) + "_x1y2z3, next": "sg_AbCdEf012345_[redacted], next",
	} {
		if got := telemetry.Mask(in); got != want {
			t.Errorf("Mask(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestIsSecretKey(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"password": true, "Authorization": true, "X-API-Key": true, "client_secret": true, "refresh token": true,
		"webhook.signature": true, "Set-Cookie": true, "session": true,
		"token_expiry": false, "password_changed_at": false, "key_id": false, "session_id": false, "secrets_count": false, "": false,
	} {
		if got := telemetry.IsSecretKey(name); got != want {
			t.Errorf("IsSecretKey(%q) = %v", name, got)
		}
	}
}
