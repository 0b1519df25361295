package connections

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/runtime"
)

func requirements() *Requirements {
	return &Requirements{
		Owner: "Payments team", Purpose: "Charges cards.", DataClass: "personal", Criticality: "critical",
		SLO:            SLO{Availability: 99.9, P95: runtime.Duration(800 * time.Millisecond)},
		ExpectedVolume: Volume{Calls: 90, Per: runtime.Duration(time.Minute)},
	}
}

func documentation() *Documentation {
	return &Documentation{
		Runbook: "# When it fails\n\nLook.", Contacts: []Contact{{Name: "On call", Reach: "ops@example.com"}},
		StatusURL: "https://status.example.com", DocsURL: "https://docs.example.com/a?b=c", OpenAPIURL: "https://docs.example.com/openapi.json",
	}
}

func TestRequirementsAreVersioned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.create("stripe")
	c := w.update("stripe", func(d *Draft) { d.Requirements, d.Documentation = requirements(), documentation() })
	if c.Version != 2 || !cmp.Equal(c.Requirements, *requirements()) || !cmp.Equal(c.Documentation, *documentation()) {
		t.Errorf("%+v", c)
	}
	if found, err := w.Find(t.Context(), admin(), "stripe"); err != nil || !cmp.Equal(found, c) {
		t.Errorf("%v\n%s", err, cmp.Diff(c, found))
	}
	if peeked, _ := w.Peek("stripe"); !cmp.Equal(peeked, c) {
		t.Errorf("the snapshot has %+v", peeked)
	}
	// An edit that does not speak of them leaves them as they are, and nothing makes no version.
	d := first.Draft()
	d.Requirements, d.Documentation = nil, nil
	d.Name = "Stripe"
	c, err := w.Update(t.Context(), admin(), "stripe", d, "", 0)
	if err != nil || c.Version != 3 || c.Requirements.Owner != "Payments team" || c.Documentation.Runbook == "" {
		t.Errorf("%+v, %v", c, err)
	}
	if c = w.update("stripe", func(*Draft) {}); c.Version != 3 {
		t.Errorf("nothing made version %d", c.Version)
	}
	c = w.update("stripe", func(d *Draft) {
		d.Requirements.SLO.P95, d.Documentation.Contacts[0].Reach = runtime.Duration(time.Second), "+49 30 123"
	})
	changes, err := w.Diff(t.Context(), admin(), "stripe", 3, 4)
	want := []Change{
		{Field: "documentation.contacts", Before: "On call: ops@example.com", After: "On call: +49 30 123"},
		{Field: "requirements.slo.p95", Before: "800ms", After: "1s"},
	}
	if diff := cmp.Diff(want, changes); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	// Replacing says everything, so what it leaves out is gone; going back brings it again.
	d = c.Draft()
	d.Requirements, d.Documentation = nil, nil
	if c, err = w.Replace(t.Context(), admin(), "stripe", d, "", 0); err != nil || !cmp.Equal(c.Requirements, Requirements{}) || !cmp.Equal(c.Documentation, Documentation{}) {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = w.Activate(t.Context(), admin(), "stripe", 2, "", 0); err != nil || !cmp.Equal(c.Requirements, *requirements()) {
		t.Errorf("%+v, %v", c.Requirements, err)
	}
}

func TestRequirementsAreChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	req := func(change func(*Requirements)) func(*Draft) {
		return func(d *Draft) { d.Requirements = requirements(); change(d.Requirements) }
	}
	doc := func(change func(*Documentation)) func(*Draft) {
		return func(d *Draft) { d.Documentation = documentation(); change(d.Documentation) }
	}
	for name, c := range map[string]struct {
		change func(*Draft)
		field  string
	}{
		"owner in two lines": {req(func(r *Requirements) { r.Owner = "a\nb" }), "requirements.owner"},
		"long purpose":       {req(func(r *Requirements) { r.Purpose = strings.Repeat("x", 1001) }), "requirements.purpose"},
		"reversed purpose":   {req(func(r *Requirements) { r.Purpose = "a\u202eb" }), "requirements.purpose"},
		"data":               {req(func(r *Requirements) { r.DataClass = "secret" }), "requirements.data_class"},
		"criticality":        {req(func(r *Requirements) { r.Criticality = "very" }), "requirements.criticality"},
		"over 100 per cent":  {req(func(r *Requirements) { r.SLO.Availability = 100.1 }), "requirements.slo.availability"},
		"no number":          {req(func(r *Requirements) { r.SLO.Availability = math.NaN() }), "requirements.slo.availability"},
		"negative latency":   {req(func(r *Requirements) { r.SLO.P95 = -1 }), "requirements.slo.p95"},
		"calls in no time":   {req(func(r *Requirements) { r.ExpectedVolume.Per = 0 }), "requirements.expected_volume.per"},
		"time without calls": {req(func(r *Requirements) { r.ExpectedVolume.Calls = 0 }), "requirements.expected_volume.calls"},
		"negative calls":     {req(func(r *Requirements) { r.ExpectedVolume.Calls = -1 }), "requirements.expected_volume.calls"},
		"negative time":      {req(func(r *Requirements) { r.ExpectedVolume.Per = -1 }), "requirements.expected_volume.per"},
		"long runbook":       {doc(func(d *Documentation) { d.Runbook = strings.Repeat("ü", 20_001) }), "documentation.runbook"},
		"notes with a bell":  {doc(func(d *Documentation) { d.Notes = "\a" }), "documentation.notes"},
		"a link with port 0": {doc(func(d *Documentation) { d.StatusURL = "https://status.example.com:0" }), "documentation.status_url"},
		"script as a link":   {doc(func(d *Documentation) { d.StatusURL = "javascript:alert(1)" }), "documentation.status_url"},
		"link to nowhere":    {doc(func(d *Documentation) { d.DocsURL = "https://" }), "documentation.docs_url"},
		"password in a link": {doc(func(d *Documentation) { d.OpenAPIURL = "https://a:" + canary + "@b.example" }), "documentation.openapi_url"},
		"nameless contact":   {doc(func(d *Documentation) { d.Contacts[0].Name = " " }), "documentation.contacts[0].name"},
		"silent contact":     {doc(func(d *Documentation) { d.Contacts[0].Reach = "" }), "documentation.contacts[0].reach"},
		"many contacts":      {doc(func(d *Documentation) { d.Contacts = make([]Contact, 21) }), "documentation.contacts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := Draft{}
			c.change(&d)
			_, err := w.Update(t.Context(), admin(), "stripe", d, "", 0)
			code, _, _ := strings.Cut(c.field, ".")
			wantField(t, err, "INVALID_"+strings.ToUpper(code), c.field)
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Error("the message repeats what was entered")
			}
		})
	}
}

func TestLinesOfTextAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	c := w.update("stripe", func(d *Draft) { d.Documentation = &Documentation{Runbook: " \r\n# a\r\n\tb\r"} })
	if c.Documentation.Runbook != "# a\n\tb" {
		t.Errorf("%q", c.Documentation.Runbook)
	}
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("same line\n", 100)
	before, after := excerpt(long+"old end", long+"new end")
	if !strings.HasSuffix(before, "old end") || !strings.HasSuffix(after, "new end") || len(before) > 400 || !strings.HasPrefix(before, "…") {
		t.Errorf("%q\n%q", before, after)
	}
	if before, after = excerpt("", long); before != "" || !strings.HasSuffix(after, "…") {
		t.Errorf("%q\n%q", before, after)
	}
	if before, after = excerpt("short", "text"); before != "short" || after != "text" {
		t.Errorf("%q\n%q", before, after)
	}
}

func TestVolumePerMinute(t *testing.T) {
	t.Parallel()
	for want, v := range map[float64]Volume{
		0: {}, 2400: {Calls: 40, Per: runtime.Duration(time.Second)}, 1: {Calls: 1440, Per: runtime.Duration(24 * time.Hour)},
	} {
		if got := v.PerMinute(); got != want {
			t.Errorf("%+v is %v a minute, want %v", v, got, want)
		}
	}
}
