package console

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/alerts"
)

// firing makes an alert of a rule on a connection as it is stored while it fires.
func (s *site) firing(t *testing.T, id, rule, severity, slug string, age time.Duration) {
	t.Helper()
	c, ok := s.connections.Peek(slug)
	if !ok {
		t.Fatalf("no connection %s", slug)
	}
	opened := time.Now().Add(-age).UnixMicro()
	s.exec(`INSERT INTO alerts (id, fingerprint, rule_id, rule_name, rule_kind, severity, connection_id, connection, connection_name, environment, operation,
		state, why, resolved_why, opened_at, changed_at, acknowledged_by, acknowledged_note, flaps, flapping, announced, owed, told, fired_at)
		VALUES ($1, $1, $2, $3, 'breaker_opened', $4, $5, $6, $7, 'production', '', 'firing', $8, '', $9, $9, '', '', 0, 0, 1, 0, '[]', $9)`,
		id, "arl_default_"+rule, "Rule "+rule, severity, c.ID, slug, c.Name, "38 of 60 calls to <"+slug+"> failed.", opened)
	s.exec(`INSERT INTO alert_episodes (alert_id, n, fired_at, why, resolved_why) SELECT id, 0, fired_at, why, '' FROM alerts WHERE id = $1`, id)
}

// sent makes a notification of the alert alr_1.
func (s *site) sent(t *testing.T, id, channel, state, failure string) {
	t.Helper()
	now := time.Now().UnixMicro()
	s.exec(`INSERT INTO alert_notifications (id, alert_id, rule_id, channel_id, channel, kind, event, state, reason, message, attempts, run_at, lease_token, lease_until, boot_id,
		last_error, created_at, finished_at) VALUES ($1, 'alr_1', '', $2, 'Operations', 'webhook', 'firing', $3, 'It is muted.', '{"rule":"Breaker opened","connection_name":"Stripe live"}',
		10, $4, '', 0, '', $5, $4, $4)`, id, channel, state, now, failure)
}

// get returns a page that has to be there.
func (s *site) get(t *testing.T, client *http.Client, path string, header ...string) string {
	t.Helper()
	status, _, text := s.do(t, client, http.MethodGet, path, nil, header...)
	if status != http.StatusOK {
		t.Fatalf("GET %s: %d\n%s", path, status, text)
	}
	return text
}

// post sends a form that has to be answered with status, and returns where that leads and what it says.
func (s *site) post(t *testing.T, client *http.Client, path string, form url.Values, want int) (location, text string) {
	t.Helper()
	status, header, text := s.submit(t, client, path, form)
	if status != want {
		t.Fatalf("POST %s: %d, want %d\n%s", path, status, want, text)
	}
	return header.Get("Location"), html.UnescapeString(text)
}

// found are what the group of a pattern matches in a page, in order.
func found(page, pattern string) []string {
	all := regexp.MustCompile(pattern).FindAllStringSubmatch(page, -1)
	out := make([]string, len(all))
	for i, m := range all {
		out[i] = m[1]
	}
	return out
}

func TestAlertsPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signedIn(t, access.RoleOwner)
	operator, viewer := s.signedIn(t, access.RoleOperator), s.signedIn(t, access.RoleViewer)
	says(t, "the page before any", s.get(t, operator, "/alerts"), "Nobody would be told.", "Nothing fires.", "No alerts yet.", `data-live="alerts"`)
	s.create(t, "stripe", "Stripe live")
	s.create(t, "github", "GitHub")
	s.firing(t, "alr_info", "credential_problem", "info", "github", 9*time.Hour)
	s.firing(t, "alr_new", "breaker_opened", "critical", "stripe", time.Minute)
	s.firing(t, "alr_old", "connection_down", "critical", "github", time.Hour)
	s.exec(`UPDATE alerts SET flaps = 3, flapping = 1 WHERE id = 'alr_old'`)

	page := s.get(t, operator, "/alerts")
	if order := found(page, `action="/alerts/(alr_[a-z]+)/acknowledge"`); !slices.Equal(order, []string{"alr_old", "alr_new", "alr_info"}) {
		t.Errorf("the order is %v", order)
	}
	says(t, "the page", page, "Stripe live: Rule breaker_opened", "38 of 60 calls to &lt;stripe&gt; failed.", "Flapping", "came back 3 times", `class="nav-count tone-bad">3<`,
		"/alerts/mutes/new?alert=alr_new&amp;connection=stripe&amp;rule=arl_default_breaker_opened")
	silent(t, "the page of a viewer", s.get(t, viewer, "/alerts"), "/acknowledge", "/alerts/mutes/new", "Add a channel</span>")

	// Each part can be asked for alone, and the history narrowed.
	part := s.get(t, viewer, "/alerts", "HX-Request", "true", "HX-Target", "alerts-firing")
	says(t, "what fires", part, `id="alerts-firing"`, "Stripe live")
	silent(t, "what fires", part, "<html", "History")
	history := func(query string) string {
		return s.get(t, viewer, "/alerts?"+query, "HX-Request", "true", "HX-Target", "alerts-history")
	}
	silent(t, "the history", history(""), "<html", "alerts-firing")
	for query, want := range map[string][]string{
		"":                                {"alr_new", "alr_old", "alr_info"},
		"status=firing&severity=info":     {"alr_info"},
		"connection=github":               {"alr_old", "alr_info"},
		"rule=arl_default_breaker_opened": {"alr_new"},
		"status=resolved":                 nil,
		"status=acknowledged":             nil,
		"status=nonsense":                 nil,
		"from=2020-01-01T00:00":           {"alr_new", "alr_old", "alr_info"},
		"to=2020-01-01T00:00":             nil,
		"from=yesterday":                  {"alr_new", "alr_old", "alr_info"},
		"limit=1&page=2":                  {"alr_old"},
	} {
		if got := found(history(query), `id="row-(alr_[a-z]+)"`); !slices.Equal(got, want) {
			t.Errorf("%q shows %v, want %v", query, got, want)
		}
	}
	says(t, "a filter that cannot be read", history("from=yesterday"), "Write a time as")

	// The connection says so, too.
	says(t, "the connection", s.get(t, operator, "/connections/stripe"), "Stripe live: Rule breaker_opened", "/alerts/alr_new/acknowledge", `data-live="connections calls alerts health"`)
	silent(t, "the connection of a viewer", s.get(t, viewer, "/connections/stripe"), "/alerts/alr_new/acknowledge")
}

// What came back says when and for how long it fired each time, and what tells of the same incident is linked.
func TestAlertThatCameBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signedIn(t, access.RoleOwner)
	s.create(t, "stripe", "Stripe live")
	s.firing(t, "alr_1", "breaker_opened", "critical", "stripe", 30*time.Minute)
	s.firing(t, "alr_2", "connection_down", "critical", "stripe", 28*time.Minute)
	const minute = 60_000_000
	s.exec(`UPDATE alert_episodes SET resolved_at = fired_at + $1, resolved_why = 'It closed.' WHERE alert_id = 'alr_1'`, 3*minute)
	s.exec(`INSERT INTO alert_episodes (alert_id, n, fired_at, why, resolved_why) SELECT id, 1, fired_at + $1, 'It opened again.', '' FROM alerts WHERE id = 'alr_1'`, 10*minute)
	s.exec(`UPDATE alerts SET flaps = 1, fired_at = fired_at + $1, fired_before_us = $2 WHERE id = 'alr_1'`, 10*minute, 3*minute)
	s.exec(`UPDATE alerts SET carried_by = 'alr_1' WHERE id = 'alr_2'`)
	page := s.get(t, client, "/alerts/alr_1")
	says(t, "the alert", page, "Fired again", "It opened again.", "It lasted 3 min. It closed.", "data-age>20 min</time>)", "23 min so far", "without the times in between")
	says(t, "the other one", s.get(t, client, "/alerts/alr_2"), "Not told by itself: ", `href="/alerts/alr_1"`)
	if n := strings.Count(page, "Resolved"); n != 1 {
		t.Errorf("it ended %d times", n)
	}
}

// A sentence of the overview leads to the alert of what it is about.
func TestOverviewLeadsToTheAlert(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.status.Store(http.StatusInternalServerError)
	g.call(t, 2)
	g.settled(t)
	silent(t, "the overview before", g.page(t, g.operator, "/"), `href="/alerts/alr_`)
	g.firing(t, "alr_operation", "connection_down", "critical", "guarded", time.Hour)
	g.exec(`UPDATE alerts SET operation = 'charge'`)
	g.firing(t, "alr_whole", "breaker_opened", "critical", "guarded", time.Minute)
	page := g.page(t, g.operator, "/")
	says(t, "the overview", page, "Guarded is open", `href="/alerts/alr_whole"`)
	silent(t, "the overview", page, `href="/alerts/alr_operation"`)
}

func TestAlertIsAcknowledged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signedIn(t, access.RoleOwner)
	operator, viewer := s.signedIn(t, access.RoleOperator), s.signedIn(t, access.RoleViewer)
	s.create(t, "stripe", "Stripe live")
	s.firing(t, "alr_1", "breaker_opened", "critical", "stripe", time.Hour)
	s.sent(t, "ant_1", "ach_1", "delivered", "The receiver answered 503 Service Unavailable.")
	s.sent(t, "ant_2", "ach_1", "dead", "The receiver answered 404 Not Found.")
	s.sent(t, "ant_3", "ach_1", "suppressed", "")
	page := s.get(t, operator, "/alerts/alr_1")
	says(t, "the alert", page, "Stripe live: Rule breaker_opened", "Operations was told: it fires", "Operations could not be told", "Given up after 10 attempts. Last: The receiver answered 404 Not Found.",
		"/alerts/notifications/ant_2/resend", "It is muted.", `href="/connections/stripe/breaker"`, `name="note"`)
	silent(t, "the alert", page, "503 Service Unavailable", "/alerts/notifications/ant_1/resend", "Rule</span>")
	silent(t, "the alert of a viewer", s.get(t, viewer, "/alerts/alr_1"), `name="note"`, "/resend", "/alerts/mutes/new")
	fragment := s.get(t, viewer, "/alerts/alr_1", "HX-Request", "true", "HX-Target", "alert")
	says(t, "the part", fragment, `id="alert"`)
	silent(t, "the part", fragment, "<html")

	if _, text := s.post(t, operator, "/alerts/alr_1/acknowledge", url.Values{"note": {strings.Repeat("long ", 120)}}, http.StatusBadRequest); !strings.Contains(text, "Use at most 500 characters.") {
		t.Error("a note that is too long is not refused beside its field")
	}
	s.post(t, viewer, "/alerts/alr_1/acknowledge", url.Values{}, http.StatusForbidden)
	if to, _ := s.post(t, operator, "/alerts/alr_1/acknowledge", url.Values{"note": {"calling them"}}, http.StatusSeeOther); to != "/alerts/alr_1" {
		t.Errorf("leads to %s", to)
	}
	page = s.get(t, operator, "/alerts/alr_1")
	says(t, "the acknowledged alert", page, "Acknowledged. No reminder", "Acknowledged by operator@example.com", "calling them")
	silent(t, "the acknowledged alert", page, `name="note"`, "nav-count")

	// From a list it leads back there, and never to another site.
	if to, _ := s.post(t, operator, "/alerts/alr_1/acknowledge", url.Values{"back": {"/connections/stripe"}}, http.StatusSeeOther); to != "/connections/stripe" {
		t.Errorf("leads to %s", to)
	}
	if to, _ := s.post(t, operator, "/alerts/alr_1/acknowledge", url.Values{"back": {"//evil.example"}}, http.StatusSeeOther); to != "/" {
		t.Errorf("leads to %s", to)
	}
	s.exec(`UPDATE alerts SET state = 'resolved', resolved_at = changed_at, resolved_why = 'Its breaker closed.' WHERE id = 'alr_1'`)
	s.exec(`UPDATE alert_episodes SET resolved_at = fired_at, resolved_why = 'Its breaker closed.' WHERE alert_id = 'alr_1'`)
	s.post(t, operator, "/alerts/alr_1/acknowledge", url.Values{}, http.StatusSeeOther)
	says(t, "the alert that is over", s.get(t, operator, "/alerts/alr_1"), "The alert is over", "Its breaker closed.", "Resolved")
	if status, _, _ := s.do(t, operator, http.MethodGet, "/alerts/alr_none", nil); status != http.StatusNotFound {
		t.Errorf("an alert that does not exist: %d", status)
	}
}

func TestAlertMutes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signedIn(t, access.RoleOwner)
	operator, viewer := s.signedIn(t, access.RoleOperator), s.signedIn(t, access.RoleViewer)
	s.create(t, "stripe", "Stripe live")
	s.firing(t, "alr_1", "breaker_opened", "critical", "stripe", time.Hour)
	const path = "/alerts/mutes/new?alert=alr_1"
	says(t, "the form", s.get(t, operator, path+"&rule=arl_default_breaker_opened&connection=stripe"), `value="stripe"`, `<option value="arl_default_breaker_opened" selected`, "Until tomorrow, 9:00")
	form := func(changes ...string) url.Values {
		f := url.Values{"rule": {"arl_default_breaker_opened"}, "connection": {"stripe"}, "for": {"8h"}, "reason": {"their maintenance"}}
		for i := 0; i+1 < len(changes); i += 2 {
			f.Set(changes[i], changes[i+1])
		}
		return f
	}
	for name, tt := range map[string]struct {
		form url.Values
		want string
	}{
		"no reason":        {form("reason", " "), "Say why."},
		"no end":           {form("for", ""), "Choose how long it is muted."},
		"the past":         {form("for", "until", "until", "2020-01-01T00:00"), "must be in the future"},
		"no time":          {form("for", "until", "until", "soon"), "Write a time as"},
		"no time entered":  {form("for", "until"), "Write a time as"},
		"nobody's":         {form("connection", "strype"), "There is no such connection."},
		"a rule of before": {form("rule", "arl_gone"), "There is no such rule."},
	} {
		if _, text := s.post(t, operator, path, tt.form, http.StatusBadRequest); !strings.Contains(text, tt.want) {
			t.Errorf("%s: does not say %q", name, tt.want)
		}
	}
	s.post(t, viewer, path, form(), http.StatusForbidden)
	if to, _ := s.post(t, operator, path, form(), http.StatusSeeOther); to != "/alerts/alr_1" {
		t.Errorf("leads to %s", to)
	}
	says(t, "the alert", s.get(t, operator, "/alerts/alr_1"), "Breaker opened on stripe is muted", "operator@example.com: their maintenance", "End now", "Muted by operator@example.com")
	says(t, "the list", s.get(t, viewer, "/alerts"), "Muted for")
	says(t, "the connection", s.get(t, viewer, "/connections/stripe"), "Muted for")
	if to, _ := s.post(t, operator, "/alerts/mutes/new", form("rule", "", "connection", "", "for", "tomorrow"), http.StatusSeeOther); to != "/alerts/mutes" {
		t.Errorf("leads to %s", to)
	}
	mutes := s.get(t, operator, "/alerts/mutes")
	says(t, "the mutes", mutes, "Breaker opened on stripe", "Everything", "their maintenance")
	silent(t, "the mutes of a viewer", s.get(t, viewer, "/alerts/mutes"), "/end", "New mute")
	silent(t, "the part", s.get(t, viewer, "/alerts/mutes", "HX-Request", "true"), "<html")
	end := regexp.MustCompile(`action="(/alerts/mutes/amu_[^/"]+/end)"`).FindAllStringSubmatch(mutes, -1)
	if len(end) != 2 {
		t.Fatalf("%d mutes can be ended", len(end))
	}
	for _, m := range end {
		s.post(t, operator, m[1], url.Values{"back": {"/alerts/mutes"}}, http.StatusSeeOther)
	}
	says(t, "the mutes at last", s.get(t, operator, "/alerts/mutes"), "Nothing is muted.")
	silent(t, "the alert at last", s.get(t, operator, "/alerts/alr_1"), "is muted")
	s.exec(`INSERT INTO alert_mutes (id, rule_id, connection_id, connection, until, reason, created_by, created_at) VALUES ('amu_0', 'arl_gone', '', '', $1, 'over', 'ada@example.com', 0)`,
		time.Now().Add(-time.Hour).UnixMicro())
	s.post(t, operator, path, form(), http.StatusSeeOther) // reads them again
	says(t, "the mutes of the last day", s.get(t, viewer, "/alerts/mutes"), "Past", "arl_gone everywhere")
}

func ruleForm() url.Values {
	return url.Values{
		"name": {"Too many failures"}, "severity": {"warning"}, "enabled": {"on"}, "scope.environment": {"production"}, "scope.connections": {"stripe, github"},
		"for": {"5m"}, "repeat": {"4h"}, "notify_resolved": {"on"}, "params.window": {"30m"}, "params.max_error_share": {"2.5"}, "params.min_calls": {"100"},
	}
}

func TestAlertRules(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signedIn(t, access.RoleOwner)
	admin, viewer := s.signedIn(t, access.RoleAdmin), s.signedIn(t, access.RoleViewer)
	says(t, "the rules of the product", s.get(t, admin, "/alerts/rules"), "Breaker opened", "Credential problem", "nobody", "New rule", "Nobody would be told.")
	silent(t, "the rules of a viewer", s.get(t, viewer, "/alerts/rules"), "New rule", "/edit", "/disable")
	silent(t, "the part", s.get(t, viewer, "/alerts/rules", "HX-Request", "true"), "<html")
	says(t, "the kinds", s.get(t, admin, "/alerts/rules/new"), "Error budget", "/alerts/rules/new?kind=held_by_vendor")
	says(t, "the form", s.get(t, admin, "/alerts/rules/new?kind=error_budget"), `name="params.window"`, `placeholder="1h"`, "There is no channel yet.")
	if status, _, _ := s.do(t, admin, http.MethodGet, "/alerts/rules/new?kind=nothing", nil); status != http.StatusNotFound {
		t.Errorf("a kind that does not exist: %d", status)
	}
	const create = "/alerts/rules/new?kind=error_budget"
	for field, value := range map[string]string{
		"name": "", "severity": "terrible", "for": "soon", "repeat": "1s", "scope.environment": "moon", "params.max_error_share": "many", "channels": "ach_none",
	} {
		form := ruleForm()
		form.Set(field, value)
		_, text := s.post(t, admin, create, form, http.StatusBadRequest)
		if !strings.Contains(text, `href="#f-`+field+`"`) || !strings.Contains(text, `value="2.5"`) && field != "params.max_error_share" {
			t.Errorf("%s: what is wrong is not beside its field, or what was entered is lost", field)
		}
	}
	s.post(t, viewer, create, ruleForm(), http.StatusForbidden)
	s.post(t, admin, create, ruleForm(), http.StatusSeeOther)
	page := html.UnescapeString(s.get(t, viewer, "/alerts/rules"))
	says(t, "the rule", page, "Too many failures", "stripe, github, if in production", "window: 30 min, failed calls allowed: 2.5 %, at least so many calls: 100, after 5 min")
	id := regexp.MustCompile(`/alerts/rules/(arl_[0-9a-z]{10,})/edit`).FindStringSubmatch(s.get(t, admin, "/alerts/rules"))[1]
	path := "/alerts/rules/" + id
	says(t, "the form to edit", s.get(t, admin, path+"/edit"), "Edit Too many failures", `value="4h"`, `value="stripe, github"`, path+"/delete")
	form := ruleForm()
	form.Set("name", "Failures")
	form.Set("for", "")
	form.Set("scope.connections", "")
	s.post(t, admin, path+"/edit", form, http.StatusSeeOther)
	says(t, "the edited rule", s.get(t, admin, "/alerts/rules"), "Failures", "every connection in production")
	form.Set("name", "")
	if _, text := s.post(t, admin, path+"/edit", form, http.StatusBadRequest); !strings.Contains(text, "Give it a name.") {
		t.Error("a rule without a name is saved")
	}

	s.post(t, admin, path+"/disable", url.Values{"reason": {""}}, http.StatusBadRequest)
	says(t, "the question", s.get(t, admin, path+"/disable"), "Switch off Failures?", "nobody is told")
	s.post(t, admin, path+"/disable", url.Values{"reason": {"noisy"}}, http.StatusSeeOther)
	says(t, "the rule that is off", s.get(t, admin, "/alerts/rules"), path+"/enable")
	s.post(t, admin, path+"/enable", url.Values{}, http.StatusSeeOther)
	silent(t, "the rule that is on", s.get(t, admin, "/alerts/rules"), path+"/enable")
	s.post(t, admin, path+"/delete", url.Values{}, http.StatusBadRequest)
	s.post(t, admin, path+"/delete", url.Values{"reason": {"not needed"}}, http.StatusSeeOther)
	silent(t, "the rules at last", s.get(t, viewer, "/alerts/rules"), "Failures")
	if status, _, _ := s.do(t, admin, http.MethodGet, path+"/edit", nil); status != http.StatusNotFound {
		t.Errorf("a rule that is gone: %d", status)
	}
}

func TestAlertChannels(t *testing.T) {
	t.Parallel()
	var received, refuse atomic.Int64
	b := newBench(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Webhook-Signature") != "" {
			received.Add(1)
		}
		if refuse.Load() != 0 {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	s, admin, viewer := b.site, b.signedIn(t, access.RoleAdmin), b.signedIn(t, access.RoleViewer)
	says(t, "the channels before any", s.get(t, admin, "/alerts/channels"), "nobody would be told", "New channel")
	says(t, "the kinds", s.get(t, admin, "/alerts/channels/new"), "Webhook", "Slack", "E-mail")
	if status, _, _ := s.do(t, admin, http.MethodGet, "/alerts/channels/new?kind=pigeon", nil); status != http.StatusNotFound {
		t.Errorf("a kind that does not exist: %d", status)
	}
	const create = "/alerts/channels/new?kind=webhook"
	page := s.get(t, admin, create)
	says(t, "the form", page, `name="settings.url"`, "A secret is made and shown once.", `value="arl_default_breaker_opened" checked`)
	form := url.Values{
		"once": {regexp.MustCompile(`name="once" value="([^"]+)"`).FindStringSubmatch(page)[1]}, "name": {"Operations"}, "enabled": {"on"}, "settings.url": {b.upstream.URL + "/alerts"},
		"rules": {"arl_default_breaker_opened", "arl_default_connection_down"},
	}
	wrong := url.Values{"name": {"Operations"}, "settings.url": {"ftp://ops.example.com"}, "settings.signing_secret": {"a-secret-of-mine"}}
	if _, text := s.post(t, admin, create, wrong, http.StatusBadRequest); !strings.Contains(text, "It must be a URL") || strings.Contains(text, "a-secret-of-mine") {
		t.Error("a wrong channel is not refused beside its field, or its secret is shown")
	}
	_, text := s.post(t, admin, create, form, http.StatusCreated)
	secret := regexp.MustCompile(`whsec_[A-Za-z0-9+/=]+`).FindString(text)
	if secret == "" {
		t.Fatal("the secret is not shown")
	}
	s.post(t, admin, create, form, http.StatusConflict)
	path := regexp.MustCompile(`href="(/alerts/channels/ach_[^"]+)"`).FindStringSubmatch(text)[1]
	for _, where := range []string{"/alerts/channels", path, path + "/edit", "/audit"} {
		silent(t, where, html.UnescapeString(s.get(t, admin, where)), secret)
	}
	says(t, "the rules", s.get(t, admin, "/alerts/rules"), "Operations", "4 rules") // those tell nobody
	says(t, "the channel of a viewer", s.get(t, viewer, path), b.upstream.URL+"/alerts", "stored sealed", "Breaker opened", "No messages yet.")
	silent(t, "the channel of a viewer", s.get(t, viewer, path), path+"/test", path+"/edit", path+"/rotate")
	silent(t, "the part", s.get(t, viewer, path, "HX-Request", "true"), "<html")
	silent(t, "the list as a part", s.get(t, viewer, "/alerts/channels", "HX-Request", "true"), "<html")

	if _, text := s.post(t, admin, path+"/test", nil, http.StatusOK); !strings.Contains(text, "The test was sent") || !strings.Contains(text, "and accepted in") || received.Load() != 1 {
		t.Errorf("%d received; %s", received.Load(), text)
	}
	if status, header, _ := s.do(t, admin, http.MethodGet, path+"/test", nil); status != http.StatusSeeOther || header.Get("Location") != path {
		t.Errorf("reloading the result: %d", status)
	}
	refuse.Store(1)
	if _, text := s.post(t, admin, path+"/test", nil, http.StatusOK); !strings.Contains(text, "The test did not get through") || !strings.Contains(text, "The receiver answered 404 Not Found.") {
		t.Error("a test that fails does not say so")
	}
	says(t, "the list", s.get(t, viewer, "/alerts/channels"), "Failing", "The receiver answered 404 Not Found.", "2 rules")
	silent(t, "the list", s.get(t, viewer, "/alerts/channels"), `id="dead"`) // a test is nobody's alert

	// What was given up can be sent again.
	id := strings.TrimPrefix(path, "/alerts/channels/")
	s.sent(t, "ant_dead", id, "dead", "The receiver answered 404 Not Found.")
	says(t, "what was not delivered", s.get(t, admin, "/alerts/channels"), `id="dead"`, "Stripe live: Breaker opened", "/alerts/notifications/ant_dead/resend")
	says(t, "the warning", s.get(t, viewer, "/alerts"), "1 notification", "of the last day could not be delivered.")
	operator := s.signedIn(t, access.RoleOperator)
	s.post(t, viewer, "/alerts/notifications/ant_dead/resend", nil, http.StatusForbidden)
	s.post(t, operator, "/alerts/notifications/ant_dead/resend", nil, http.StatusSeeOther)
	says(t, "sent again in vain", s.get(t, operator, "/alerts/channels"), "could not be told", "The receiver answered 404 Not Found.")
	refuse.Store(0)
	s.exec(`UPDATE alert_notifications SET state = 'dead' WHERE id = 'ant_dead'`)
	if to, _ := s.post(t, operator, "/alerts/notifications/ant_dead/resend", url.Values{"back": {path}}, http.StatusSeeOther); to != path {
		t.Errorf("leads to %s", to)
	}
	says(t, "sent again", s.get(t, operator, path), "Operations was told.", "Delivered")
	s.post(t, operator, "/alerts/notifications/ant_dead/resend", nil, http.StatusConflict)

	// Changing it keeps the secret; rotating shows a new one.
	edit := url.Values{"name": {"Ops"}, "enabled": {"on"}, "settings.url": {b.upstream.URL}}
	s.post(t, admin, path+"/edit", edit, http.StatusSeeOther)
	edit.Set("name", "")
	s.post(t, admin, path+"/edit", edit, http.StatusBadRequest)
	says(t, "the form to edit", s.get(t, admin, path+"/edit"), `value="Ops"`, "One is stored, and never shown. Leave the field empty to keep it.")
	says(t, "the question", s.get(t, admin, path+"/rotate"), "Rotate the signing secret of Ops?")
	s.post(t, admin, path+"/rotate", url.Values{"grace": {"9000h"}}, http.StatusBadRequest)
	_, text = s.post(t, admin, path+"/rotate", url.Values{"grace": {"24h"}}, http.StatusOK)
	if next := regexp.MustCompile(`whsec_[A-Za-z0-9+/=]+`).FindString(text); next == "" || next == secret {
		t.Error("no new secret is shown")
	}
	says(t, "the rotated channel", s.get(t, admin, path), "Signs twice")

	// A channel that rules tell stays.
	says(t, "the channel", s.get(t, admin, path), "Rules tell it. Take it out of them first.")
	if _, text := s.post(t, admin, path+"/delete", url.Values{"reason": {"moved"}}, http.StatusConflict); !strings.Contains(text, "Rules use this channel: Breaker opened") {
		t.Error("the rules that use it are not named")
	}
	for _, rule := range []string{"breaker_opened", "connection_down"} {
		s.post(t, admin, "/alerts/rules/arl_default_"+rule+"/edit", url.Values{"name": {rule}, "severity": {"critical"}, "enabled": {"on"}}, http.StatusSeeOther)
	}
	says(t, "the question", s.get(t, admin, path+"/delete"), "Delete Ops?")
	s.post(t, admin, path+"/delete", url.Values{}, http.StatusBadRequest)
	s.post(t, admin, path+"/delete", url.Values{"reason": {"moved"}}, http.StatusSeeOther)
	if status, _, _ := s.do(t, admin, http.MethodGet, path, nil); status != http.StatusNotFound {
		t.Errorf("a channel that is gone: %d", status)
	}
}

// A channel of a kind that makes no secret leads to its page at once; one that was switched off says why.
func TestAlertChannelWithoutSecret(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin := s.signedIn(t, access.RoleOwner)
	to, _ := s.post(t, admin, "/alerts/channels/new?kind=slack", url.Values{
		"name": {"Chat"}, "enabled": {"on"}, "settings.url": {"https://hooks.example.com/T0/canary-in-the-address"}, "rules": {"arl_gone"},
	}, http.StatusSeeOther)
	page := s.get(t, admin, to)
	says(t, "the channel", page, "an address that is stored sealed", "not every rule tells it: There is no such rule.", "No rule tells it.")
	silent(t, "the channel", page, "canary-in-the-address", "/rotate")
	s.exec(`UPDATE alert_channels SET enabled = 0, disabled_reason = 'Switched off because the receiver answered that it is gone (410).'`)
	says(t, "the channel that is off", s.get(t, admin, to), "It was switched off.", "it is gone (410)")
	says(t, "a mail server", s.get(t, admin, "/alerts/channels/new?kind=email"), `value="587"`, `<option value="tls"`)
}

func TestDurationText(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "", time.Second: "1s", 90 * time.Second: "1m30s", 5 * time.Minute: "5m", time.Hour: "1h", 90 * time.Minute: "1h30m", 24 * time.Hour: "24h", 10 * time.Minute: "10m", 20 * time.Hour: "20h",
	} {
		if got := durationText(d); got != want {
			t.Errorf("%s is written %q, want %q", d, got, want)
		}
	}
}

// People read the times of rules in words; forms take and show them as they are entered.
func TestSpanText(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		24 * time.Hour: "1 day", 72 * time.Hour: "3 days", 336 * time.Hour: "14 days", 36 * time.Hour: "36 h", time.Hour: "1 h", 90 * time.Minute: "90 min", 90 * time.Second: "1m30s",
	} {
		if got := spanText(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
	rule := alerts.Rule{Kind: "token_expires_soon", Params: alerts.Params{"within": "336h"}}
	if got := paramsText(&rule); got != "how long before: 14 days" {
		t.Errorf("the list shows %q", got)
	}
}

// Channels that no rule names are said to be there, and one button lets the silent rules tell them.
func TestSilentRules(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.signedIn(t, access.RoleOwner)
	viewer := s.signedIn(t, access.RoleViewer)
	silent(t, "without a channel", s.get(t, owner, "/alerts"), "/alerts/rules/tell")
	add := func(name string, enabled bool) alerts.Channel {
		t.Helper()
		c, _, err := s.alerts.CreateChannel(t.Context(), access.System(), alerts.ChannelDraft{
			Name: name, Kind: "webhook", Enabled: enabled, Settings: map[string]string{"url": "https://hooks.example.com/" + name},
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	add("Operations", true)
	off := add("Old", false)
	rules, err := s.alerts.Rules(t.Context(), access.System())
	if err != nil {
		t.Fatal(err)
	}
	d := rules[0].Draft()
	d.Channels = []string{off.ID}
	if _, err := s.alerts.EditRule(t.Context(), access.System(), rules[0].ID, d); err != nil {
		t.Fatal(err)
	}
	page := s.get(t, owner, "/alerts")
	says(t, "the warning", page, "6 rules", "tell nobody.", rules[0].Name+", ", "and 3 more: 1 channel is switched on, but 5 rules name none, and 1 only such that are switched off.",
		`action="/alerts/rules/tell"`, "Let them tell Operations")
	silent(t, "the warning", page, "Without a channel that is switched on")
	silent(t, "the warning for a viewer", s.get(t, viewer, "/alerts"), "/alerts/rules/tell")
	s.post(t, viewer, "/alerts/rules/tell", url.Values{}, http.StatusForbidden)
	if to, _ := s.post(t, owner, "/alerts/rules/tell", url.Values{}, http.StatusSeeOther); to != "/alerts/rules" {
		t.Errorf("leads to %s", to)
	}
	page = s.get(t, owner, "/alerts/rules")
	says(t, "the rules", page, "6 rules tell somebody now.", "Operations")
	silent(t, "the rules", page, "tell nobody", "/alerts/rules/tell")

	// What is stored of a channel can be kept by leaving its field empty, and the form says so.
	says(t, "the form", s.get(t, owner, "/alerts/channels/"+off.ID+"/edit"), "One is stored, and never shown. Leave the field empty to keep it.")
	silent(t, "the form", s.get(t, owner, "/alerts/channels/"+off.ID+"/edit"), "to have one made")
}
