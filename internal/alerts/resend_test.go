package alerts

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/alerts/channels"
)

// A notification that was given up is tried again under the same id; one that was not is left alone.
func TestResend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		switch n {
		case 1:
			w.WriteHeader(http.StatusInternalServerError)
		case 2:
			w.WriteHeader(http.StatusGone)
		}
	})
	c := w.webhook("hook", rec.URL)
	n := Notification{
		ID: "ant_1", AlertID: "alr_1", ChannelID: c.ID, ChannelName: c.Name, ChannelKind: c.Kind, Event: channels.EventFiring, State: NotificationDead,
		Attempts: 10, LastError: "The receiver answered 404 Not Found.", CreatedAt: w.now(), RunAt: w.now(), FinishedAt: w.now(), Message: channels.Message{ID: "ant_1", Event: channels.EventFiring},
	}
	must(t, w.db.InTx(t.Context(), func(tx *db.Tx) error { return w.sender.Enqueue(t.Context(), tx, n) }))
	resend := func() Notification {
		t.Helper()
		got, err := w.Resend(t.Context(), w.person(access.RoleOperator), n.ID)
		must(t, err)
		return got
	}
	if got := resend(); got.State != NotificationPending || got.Attempts != 1 || !got.RunAt.After(w.now()) || !got.FinishedAt.IsZero() {
		t.Errorf("after an error that may pass: %+v", got)
	}
	_, err := w.Resend(t.Context(), access.System(), n.ID)
	wantCode(t, err, "NOTIFICATION_NOT_DEAD")

	give := func() {
		w.exec(`UPDATE alert_notifications SET state = 'dead' WHERE id = $1`, n.ID)
	}
	give()
	if got := resend(); got.State != NotificationDead || got.Attempts != 1 || got.LastError == "" {
		t.Errorf("after a refusal: %+v", got)
	}
	// The receiver wanted nothing more, so the channel is off.
	if got := resend(); got.State != NotificationSuppressed || got.Reason == "" {
		t.Errorf("over a channel that is off: %+v", got)
	}
	d := c.Draft()
	_, err = w.EditChannel(t.Context(), access.System(), c.ID, d)
	must(t, err)
	give()
	if got := resend(); got.State != NotificationDelivered || got.ID != n.ID || got.FinishedAt.IsZero() {
		t.Errorf("delivered: %+v", got)
	}
	for _, r := range rec.all() {
		if id := r.header.Get("Webhook-Id"); id != n.ID {
			t.Errorf("sent as %q", id)
		}
	}
	_, err = w.Resend(t.Context(), access.System(), "ant_none")
	wantCode(t, err, "NOTIFICATION_NOT_FOUND")
	for _, role := range []access.Role{access.RoleViewer, access.RoleAuditor} {
		_, err := w.Resend(t.Context(), w.person(role), n.ID)
		wantCode(t, err, "FORBIDDEN")
	}
}

func TestSwitchRule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const id = "arl_default_breaker_opened"
	admin := w.person(access.RoleAdmin)
	before, err := w.Rule(t.Context(), admin, id)
	must(t, err)
	must(t, w.SwitchRule(t.Context(), admin, id, false, "noisy"))
	off, err := w.Rule(t.Context(), admin, id)
	must(t, err)
	must(t, w.SwitchRule(t.Context(), admin, id, true, ""))
	on, err := w.Rule(t.Context(), admin, id)
	must(t, err)
	if off.Enabled || !on.Enabled {
		t.Errorf("off %t, on %t", off.Enabled, on.Enabled)
	}
	before.UpdatedAt = on.UpdatedAt
	if diff := cmp.Diff(before, on); diff != "" {
		t.Errorf("more than the switch changed (-before +now):\n%s", diff)
	}
	wantCode(t, w.SwitchRule(t.Context(), w.person(access.RoleOperator), id, false, "noisy"), "FORBIDDEN")
	wantCode(t, w.SwitchRule(t.Context(), admin, "arl_none", false, "noisy"), "RULE_NOT_FOUND")
}

// However much one connection has to tell, what fires for another is among it.
func TestFiringForEachConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	put := func(tx *db.Tx, id, slug string, severity Severity) error {
		return w.store.putAlert(t.Context(), tx, &Alert{ID: id, Fingerprint: id, RuleID: "arl_1", Severity: severity, Connection: slug, State: StateFiring, OpenedAt: w.now(), ChangedAt: w.now()})
	}
	must(t, w.db.InTx(t.Context(), func(tx *db.Tx) error {
		for n := range maxLimit + 1 {
			if err := put(tx, fmt.Sprintf("alr_%03d", n), "stripe", SeverityCritical); err != nil {
				return err
			}
		}
		return put(tx, "alr_other", "github", SeverityInfo)
	}))
	firing, err := w.FiringFor(t.Context(), access.System(), "github", "stripe")
	must(t, err)
	if n := len(firing); n != maxLimit+1 || firing[0].ID != "alr_000" || firing[n-1].Connection != "github" {
		t.Errorf("%d fire", n)
	}
}

func TestListNarrowsAndOrders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	put := func(id string, severity Severity, state State, age time.Duration, acknowledged bool) {
		t.Helper()
		a := Alert{ID: id, Fingerprint: id, RuleID: "arl_" + string(severity), Severity: severity, Connection: "stripe", State: state, OpenedAt: w.now().Add(-age), ChangedAt: w.now()}
		if acknowledged {
			a.Acknowledged = Acknowledgement{At: w.now(), By: "ada@example.com"}
		}
		must(t, w.db.InTx(t.Context(), func(tx *db.Tx) error { return w.store.putAlert(t.Context(), tx, &a) }))
	}
	put("info", SeverityInfo, StateFiring, 9*time.Hour, false)
	put("old", SeverityCritical, StateFiring, 8*time.Hour, false)
	put("new", SeverityCritical, StateFiring, time.Hour, true)
	put("warning", SeverityWarning, StateFiring, 2*time.Hour, false)
	put("over", SeverityCritical, StateResolved, 3*time.Hour, true)
	for name, tt := range map[string]struct {
		q    Query
		want []string
	}{
		"urgency":         {Query{State: StateFiring, Sort: SortUrgency}, []string{"old", "new", "warning", "info"}},
		"acknowledged":    {Query{Acknowledged: true}, []string{"new"}},
		"from":            {Query{From: w.now().Add(-2 * time.Hour), Sort: "-opened_at"}, []string{"new", "warning"}},
		"to, excluded":    {Query{To: w.now().Add(-8 * time.Hour), Sort: "-opened_at"}, []string{"info"}},
		"between":         {Query{From: w.now().Add(-8 * time.Hour), To: w.now().Add(-2 * time.Hour), Sort: "opened_at"}, []string{"old", "over"}},
		"severity in all": {Query{Severity: SeverityCritical, Sort: "opened_at", Connection: "stripe", RuleID: "arl_critical"}, []string{"old", "over", "new"}},
	} {
		page, err := w.List(t.Context(), access.System(), tt.q)
		must(t, err)
		got := make([]string, 0, len(page.Alerts))
		for _, a := range page.Alerts {
			got = append(got, a.ID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || page.Total != len(tt.want) {
			t.Errorf("%s: %d in all (-want +got):\n%s", name, page.Total, diff)
		}
	}
	for want, slugs := range map[string][]string{"old new warning info": {"github", "stripe"}, "": {"github"}} {
		firing, err := w.FiringFor(t.Context(), access.System(), slugs...)
		must(t, err)
		got := make([]string, 0, len(firing))
		for _, a := range firing {
			got = append(got, a.ID)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%v fire for %v, want %s", got, slugs, want)
		}
	}
	if firing, err := w.FiringFor(t.Context(), access.System()); err != nil || firing != nil {
		t.Errorf("for none: %v, %v", firing, err)
	}
	if _, err := w.FiringFor(t.Context(), access.Actor{}, "stripe"); err == nil {
		t.Error("a stranger may see what fires")
	}
	n, err := w.Unacknowledged(t.Context(), w.person(access.RoleViewer))
	if err != nil || n != 3 {
		t.Errorf("%d of nobody, %v", n, err)
	}
	if _, err := w.Unacknowledged(t.Context(), access.Actor{}); err == nil {
		t.Error("a stranger may count")
	}
}
