package alerts

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
	"switchgear/internal/alerts/channels"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
	"switchgear/internal/nettest"
)

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if fault.CodeOf(err) != code || err == nil {
		t.Errorf("the error is %v, want %s", err, code)
	}
}

func TestDefaultRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rules, err := w.Rules(t.Context(), access.System())
	must(t, err)
	got := make([]string, 0, len(rules))
	for _, r := range rules {
		got = append(got, fmt.Sprintf("%s %s %s %t %d channels", r.Kind, r.Severity, r.For, r.Enabled, len(r.Channels)))
		if !r.CreatedAt.IsZero() || !r.NotifyResolved {
			t.Errorf("%+v", r)
		}
	}
	if diff := cmp.Diff([]string{
		"breaker_opened critical 0s true 0 channels", "connection_down critical 2m0s true 0 channels", "credential_problem critical 0s true 0 channels",
		"token_expires_soon info 0s true 0 channels", "token_expires_soon critical 0s true 0 channels", "token_expires_soon warning 0s true 0 channels",
	}, got); diff != "" {
		t.Error(diff)
	}
	// One that was deleted does not come back with the next start.
	must(t, w.DeleteRule(t.Context(), access.System(), rules[0].ID, "noise"))
	w.start()
	if rules, _ = w.Rules(t.Context(), access.System()); len(rules) != 5 {
		t.Errorf("%d rules after a restart", len(rules))
	}
}

func TestRuleDrafts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	good := RuleDraft{Name: "Budget", Kind: "error_budget", Enabled: true, Severity: SeverityWarning, Params: map[string]string{"window": "30m"}}
	r, err := w.CreateRule(t.Context(), access.System(), good)
	must(t, err)
	if diff := cmp.Diff(Params{"window": "30m", "max_error_share": "5", "min_calls": "50"}, r.Params); diff != "" {
		t.Error(diff)
	}
	for name, tt := range map[string]struct {
		change func(d *RuleDraft)
		code   string
	}{
		"unknown kind":        {func(d *RuleDraft) { d.Kind = "phase_of_the_moon" }, "UNKNOWN_RULE_KIND"},
		"no name":             {func(d *RuleDraft) { d.Name = " " }, "NAME_MISSING"},
		"name of two lines":   {func(d *RuleDraft) { d.Name = "a\r\nBcc: b" }, "INVALID_NAME"},
		"taken name":          {func(*RuleDraft) {}, "NAME_TAKEN"},
		"unknown severity":    {func(d *RuleDraft) { d.Severity = "panic" }, "UNKNOWN_SEVERITY"},
		"unknown environment": {func(d *RuleDraft) { d.Scope.Environment = "moon" }, "UNKNOWN_ENVIRONMENT"},
		"unknown parameter":   {func(d *RuleDraft) { d.Params = map[string]string{"windows": "30m"} }, "UNKNOWN_FIELD"},
		"window too short":    {func(d *RuleDraft) { d.Params = map[string]string{"window": "10s"} }, "INVALID_PARAMETER"},
		"share of nothing":    {func(d *RuleDraft) { d.Params = map[string]string{"max_error_share": "NaN"} }, "INVALID_PARAMETER"},
		"no calls":            {func(d *RuleDraft) { d.Params = map[string]string{"min_calls": "0"} }, "INVALID_PARAMETER"},
		"unknown channel":     {func(d *RuleDraft) { d.Channels = []string{"ach_none"} }, "UNKNOWN_CHANNEL"},
		"for a week":          {func(d *RuleDraft) { d.For = 7 * 24 * time.Hour }, "INVALID_FOR"},
		"reminder a second":   {func(d *RuleDraft) { d.Repeat = time.Second }, "INVALID_REPEAT"},
	} {
		d := good
		tt.change(&d)
		_, err := w.CreateRule(t.Context(), access.System(), d)
		if fault.CodeOf(err) != tt.code {
			t.Errorf("%s: %v, want %s", name, err, tt.code)
		}
	}
	d := r.Draft()
	d.For, d.Scope = time.Minute, Scope{Connections: []string{"stripe"}}
	edited, err := w.EditRule(t.Context(), access.System(), r.ID, d)
	must(t, err)
	stored, err := w.Rule(t.Context(), access.System(), r.ID)
	must(t, err)
	if diff := cmp.Diff(edited, stored); diff != "" || stored.For != time.Minute {
		t.Error(diff)
	}
	d.Kind = "breaker_opened"
	_, err = w.EditRule(t.Context(), access.System(), r.ID, d)
	wantCode(t, err, "KIND_FIXED")
	_, err = w.Rule(t.Context(), access.System(), "arl_none")
	wantCode(t, err, "RULE_NOT_FOUND")
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	c := w.webhook("hook", "https://hooks.example.com/a")
	until := w.now().Add(time.Hour)
	for _, tt := range []struct {
		name string
		may  []access.Role
		do   func(a access.Actor) error
	}{
		{"read", []access.Role{access.RoleAdmin, access.RoleOperator, access.RoleViewer, access.RoleAuditor}, func(a access.Actor) error {
			_, err := w.List(t.Context(), a, Query{})
			return err
		}},
		{"rule", []access.Role{access.RoleAdmin}, func(a access.Actor) error {
			_, err := w.CreateRule(t.Context(), a, RuleDraft{Name: a.ID, Kind: "breaker_opened"})
			return err
		}},
		{"channel", []access.Role{access.RoleAdmin}, func(a access.Actor) error {
			_, _, err := w.CreateChannel(t.Context(), a, ChannelDraft{Name: a.ID, Kind: "webhook", Settings: map[string]string{"url": "https://a.example.com"}})
			return err
		}},
		{"rotate", []access.Role{access.RoleAdmin}, func(a access.Actor) error {
			_, _, err := w.RotateSecret(t.Context(), a, c.ID, "", time.Hour)
			return err
		}},
		{"mute", []access.Role{access.RoleAdmin, access.RoleOperator}, func(a access.Actor) error {
			_, err := w.CreateMute(t.Context(), a, MuteDraft{Connection: "stripe", Until: until, Reason: "planned work"})
			return err
		}},
		{"acknowledge", []access.Role{access.RoleAdmin, access.RoleOperator}, func(a access.Actor) error {
			_, err := w.Acknowledge(t.Context(), a, "alr_none", "")
			if fault.Is(err, fault.NotFound) {
				return nil
			}
			return err
		}},
	} {
		for _, role := range access.Roles()[1:] {
			allowed := false
			for _, r := range tt.may {
				allowed = allowed || r == role
			}
			if err := tt.do(w.person(role)); (err == nil) != allowed || err != nil && !fault.Is(err, fault.Forbidden) {
				t.Errorf("%s as %s: %v", tt.name, role, err)
			}
		}
	}
	// Whoever lost the role since the request began may not.
	stale := w.person(access.RoleViewer)
	stale.Role = access.RoleOwner
	_, err := w.CreateRule(t.Context(), stale, RuleDraft{Name: "stale", Kind: "breaker_opened"})
	wantCode(t, err, "FORBIDDEN")
}

// Each change by a person is in the record, and no record holds a secret.
func TestAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	a := w.person(access.RoleAdmin)
	c, _, err := w.CreateChannel(t.Context(), a, ChannelDraft{Name: "chat", Kind: "slack", Enabled: true, Settings: map[string]string{"url": "https://hooks.example.com/" + canary}})
	must(t, err)
	d := c.Draft()
	d.Name = "chat 2"
	_, err = w.EditChannel(t.Context(), a, c.ID, d)
	must(t, err)
	r, err := w.CreateRule(t.Context(), a, RuleDraft{Name: "down", Kind: "connection_down", Channels: []string{c.ID}})
	must(t, err)
	wantCode(t, w.DeleteChannel(t.Context(), a, c.ID, ""), "CHANNEL_IN_USE")
	must(t, w.DeleteRule(t.Context(), a, r.ID, "not needed"))
	must(t, w.DeleteChannel(t.Context(), a, c.ID, "gone"))
	m, err := w.CreateMute(t.Context(), a, MuteDraft{Until: w.now().Add(time.Hour), Reason: "planned work"})
	must(t, err)
	_, err = w.EditMute(t.Context(), a, m.ID, w.now().Add(2*time.Hour), "takes longer")
	must(t, err)
	must(t, w.EndMute(t.Context(), a, m.ID))
	page, err := w.audit.Search(t.Context(), audit.Query{Limit: 50})
	must(t, err)
	got := make([]string, 0, len(page.Entries))
	for _, e := range page.Entries {
		got = append(got, e.Action)
		if text := fmt.Sprint(e); strings.Contains(text, canary) || e.Actor.Name != a.Name {
			t.Errorf("%+v", e)
		}
	}
	if diff := cmp.Diff([]string{
		"alert_mute.end", "alert_mute.edit", "alert_mute.create", "alert_channel.delete", "alert_rule.delete", "alert_rule.create", "alert_channel.edit", "alert_channel.create",
	}, got); diff != "" {
		t.Error(diff)
	}
}

func TestMuteDrafts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "stripe")
	for code, d := range map[string]MuteDraft{
		"REASON_MISSING":       {Until: w.now().Add(time.Hour)},
		"INVALID_UNTIL":        {Until: w.now().Add(MaxMute + time.Second), Reason: "long"},
		"CONNECTION_NOT_FOUND": {Until: w.now().Add(time.Hour), Reason: "r", Connection: "nothing"},
		"RULE_NOT_FOUND":       {Until: w.now().Add(time.Hour), Reason: "r", RuleID: "arl_none"},
	} {
		_, err := w.CreateMute(t.Context(), access.System(), d)
		wantCode(t, err, code)
	}
	_, err := w.CreateMute(t.Context(), access.System(), MuteDraft{Until: w.now(), Reason: "past"})
	wantCode(t, err, "INVALID_UNTIL")
}

// Secrets go in and stay in: no list, no print and no table shows one, and an edit without them keeps them.
func TestChannelSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := newReceiver(t, nil)
	draft := ChannelDraft{Name: "chat", Kind: "slack", Enabled: true, Settings: map[string]string{"url": rec.URL + "/" + canary}}
	c, made, err := w.CreateChannel(t.Context(), access.System(), draft)
	must(t, err)
	if !made.IsZero() || len(c.Settings) != 0 || len(c.Secrets) != 1 {
		t.Errorf("%+v", c)
	}
	d := c.Draft()
	d.Name = "chat two"
	_, err = w.EditChannel(t.Context(), access.System(), c.ID, d)
	must(t, err)
	n, err := w.SendTest(t.Context(), access.System(), c.ID)
	must(t, err)
	if n.State != NotificationDelivered || len(rec.all()) != 1 {
		t.Errorf("the secret is lost: %+v", n)
	}
	nettest.Silence(t, rec.Server) // the error of a dial must not hold the address
	n, err = w.SendTest(t.Context(), access.System(), c.ID)
	must(t, err)
	if n.State != NotificationDead || !strings.HasPrefix(n.LastError, "The connection ") {
		t.Errorf("%+v", n)
	}
	all, err := w.Channels(t.Context(), access.System())
	must(t, err)
	text, err := json.Marshal(all)
	must(t, err)
	page, err := w.Notifications(t.Context(), access.System(), NotificationQuery{})
	must(t, err)
	for _, shown := range []string{string(text), fmt.Sprintf("%+v %#v", all, page), w.logs.String(), w.dump()} {
		if strings.Contains(shown, canary) {
			t.Errorf("the secret is in %s", shown)
		}
	}
	d.Kind = "webhook"
	_, err = w.EditChannel(t.Context(), access.System(), c.ID, d)
	wantCode(t, err, "KIND_FIXED")
}

// dump is everything that is stored about alerts and in the record.
func (w *world) dump() string {
	w.t.Helper()
	var b strings.Builder
	for _, table := range []string{"alert_rules", "alert_channels", "alert_mutes", "alerts", "alert_notifications", "audit_entries"} {
		must(w.t, each(w.t.Context(), w.db, func(rows *sql.Rows) error {
			columns, err := rows.Columns()
			if err != nil {
				return err
			}
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			err = rows.Scan(values...)
			for _, v := range values {
				fmt.Fprintf(&b, "%s ", *v.(*any))
			}
			return err
		}, "SELECT * FROM "+table))
	}
	return b.String()
}

func TestSigningSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	draft := ChannelDraft{Name: "hook", Kind: "webhook", Enabled: true, Settings: map[string]string{"url": "https://a.example.com"}}
	c, made, err := w.CreateChannel(t.Context(), access.System(), draft)
	must(t, err)
	if !strings.HasPrefix(made.Reveal(), "whsec_") {
		t.Error("no secret was made")
	}
	draft.Name, draft.Settings = "given", map[string]string{"url": "https://a.example.com", channels.SecretField: channels.NewSecret()}
	if _, made, err = w.CreateChannel(t.Context(), access.System(), draft); err != nil || !made.IsZero() {
		t.Errorf("%v %v", made, err)
	}
	draft.Name, draft.Settings[channels.SecretField] = "short", "whsec_YQ=="
	_, _, err = w.CreateChannel(t.Context(), access.System(), draft)
	wantCode(t, err, "INVALID_CHANNEL")
	_, _, err = w.RotateSecret(t.Context(), access.System(), c.ID, "", MaxGrace+1)
	wantCode(t, err, "INVALID_GRACE")
	rotated, made, err := w.RotateSecret(t.Context(), access.System(), c.ID, "", time.Hour)
	must(t, err)
	if made.IsZero() || !rotated.PreviousUntil.Equal(w.now().Add(time.Hour)) {
		t.Errorf("%+v", rotated)
	}
	chat, _, err := w.CreateChannel(t.Context(), access.System(), ChannelDraft{Name: "chat", Kind: "slack", Settings: map[string]string{"url": "https://a.example.com"}})
	must(t, err)
	_, _, err = w.RotateSecret(t.Context(), access.System(), chat.ID, "", time.Hour)
	wantCode(t, err, "NOTHING_TO_ROTATE")
}

// A test is sent once, also over a channel that is disabled, and leaves its mark on the channel.
func TestSendTest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 2 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	c := w.webhook("hook", rec.URL)
	d := c.Draft()
	d.Enabled = false
	_, err := w.EditChannel(t.Context(), access.System(), c.ID, d)
	must(t, err)
	first, err := w.SendTest(t.Context(), access.System(), c.ID)
	must(t, err)
	second, err := w.SendTest(t.Context(), access.System(), c.ID)
	must(t, err)
	if first.State != NotificationDelivered || second.State != NotificationDead || second.LastError != "The receiver answered 500 Internal Server Error." || second.Attempts != 1 {
		t.Errorf("%+v\n%+v", first, second)
	}
	c, err = w.Channel(t.Context(), access.System(), c.ID)
	must(t, err)
	if !c.LastDeliveredAt.Equal(w.now()) || c.LastError != second.LastError || c.Enabled {
		t.Errorf("%+v", c)
	}
	_, err = w.SendTest(t.Context(), access.System(), "ach_none")
	wantCode(t, err, "CHANNEL_NOT_FOUND")
}
