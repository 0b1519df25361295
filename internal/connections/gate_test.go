package connections

import (
	"errors"
	"strings"
	"testing"

	"switchgear/internal/access"
	"switchgear/internal/fault"
)

// A connection that requires its checklist takes calls in production only once that is complete, by whichever
// change it would begin to; a rollback goes through.
func TestGate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.incomplete = []string{"7 Circuit breaker implemented (unknown)", "12 Rollback plan defined (fail)"}
	production := func(d *Draft) { d.Environment, d.RequireChecklist = "production", true }
	refused := func(err error, field string) {
		t.Helper()
		e, ok := errors.AsType[*fault.Error](err)
		if !ok || !fault.Is(err, fault.Conflict) || e.Code != "CHECKLIST_INCOMPLETE" || e.Details.Field != field || e.Details.Suggestion == "" ||
			!strings.Contains(e.Message, "7 Circuit breaker implemented (unknown); 12 Rollback plan defined (fail)") {
			t.Errorf("not refused with what is open, beside %q: %v", field, err)
		}
	}

	// It begins paused, and is not resumed.
	made, err := w.Create(t.Context(), admin(), Draft{
		Name: "Fresh", BaseURL: "https://api.example.com", Auth: Auth{Type: "none"}, Environment: "production", RequireChecklist: true,
	}, "")
	must(t, err)
	if made.State != StatePaused || !made.RequireChecklist || len(w.asked) != 0 {
		t.Errorf("it begins %s, asked %q", made.State, w.asked)
	}
	copied, err := w.Duplicate(t.Context(), admin(), "fresh", "copy", "")
	must(t, err)
	if copied.State != StatePaused {
		t.Errorf("the copy begins %s", copied.State)
	}
	_, err = w.Resume(t.Context(), w.user(access.RoleOperator), "fresh", "go", 0)
	refused(err, "")
	if c, _ := w.Peek("fresh"); c.State != StatePaused || c.Version != 1 {
		t.Errorf("after the refusal: %s, version %d", c.State, c.Version)
	}
	// Meanwhile everything else can be changed.
	w.update("fresh", func(d *Draft) { production(d); d.Name = "Newer" })

	// One that takes calls does not get behind the gate either, and goes on as it is.
	w.create("stripe")
	for name, change := range map[string]func(*Draft){"both": production, "moved": func(d *Draft) { d.Environment = "production" }} {
		if name == "moved" {
			w.update("stripe", func(d *Draft) { d.Environment, d.RequireChecklist = "staging", true }) // nothing is required of it yet
		}
		c, err := w.Find(t.Context(), admin(), "stripe")
		must(t, err)
		d := c.Draft()
		change(&d)
		_, err = w.Update(t.Context(), admin(), "stripe", d, "", 0)
		refused(err, "require_checklist")
		if after, _ := w.Peek("stripe"); after.State != StateActive || after.Version != c.Version {
			t.Errorf("%s: %s, version %d", name, after.State, after.Version)
		}
	}
	if last := w.asked[len(w.asked)-1]; !strings.HasPrefix(last, "production") {
		t.Errorf("judged was %q, which is not what it would be", last)
	}

	// What cannot be judged is not complete.
	w.mu.Lock()
	w.incomplete, w.unjudged = nil, errors.New("the database is busy")
	w.mu.Unlock()
	if _, err := w.Resume(t.Context(), admin(), "fresh", "go", 0); err == nil {
		t.Error("resumed without a judgement")
	}

	w.mu.Lock()
	w.unjudged = nil
	w.mu.Unlock()
	c, err := w.Resume(t.Context(), admin(), "fresh", "go", 0)
	must(t, err)
	if c.State != StateActive {
		t.Errorf("with a complete checklist: %s", c.State)
	}
	w.update("stripe", production)

	// Behind the gate, edits and rollbacks go on without asking again, and a rollback leaves the gate as it is.
	w.mu.Lock()
	w.incomplete, w.asked = []string{"1 Requirements defined (stale)"}, nil
	w.mu.Unlock()
	w.update("stripe", func(d *Draft) { d.Name = "Renamed" })
	back, err := w.Activate(t.Context(), admin(), "stripe", 1, "it was fine before", 0)
	must(t, err)
	if back.State != StateActive || !back.RequireChecklist || len(w.asked) != 0 {
		t.Errorf("after the rollback: %s, required %v, asked %q", back.State, back.RequireChecklist, w.asked)
	}
}
