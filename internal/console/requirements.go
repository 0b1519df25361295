package console

import (
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	breakersview "switchgear/web/templates/breakers"
	connectionsview "switchgear/web/templates/connections"
	"switchgear/web/templates/ui"
)

// maxRequirementsForm leaves room for two long texts, each letter of which may take several bytes.
const maxRequirementsForm = 1 << 20

type requirementPages struct{ *Console }

func (p requirementPages) routes() []route {
	read, configure := needs(access.PermissionSystemRead), needs(access.PermissionConfigure)
	return []route{
		{http.MethodGet, "/connections/{slug}/requirements", read, p.show},
		{http.MethodGet, "/connections/{slug}/requirements/edit", configure, p.edit},
		{http.MethodPost, "/connections/{slug}/requirements/edit", configure, p.update},
	}
}

func (p requirementPages) show(w http.ResponseWriter, r *http.Request) error {
	c, head, err := connectionPages(p).find(r)
	if err != nil {
		return err
	}
	req, doc := c.Requirements, c.Documentation
	view := connectionsview.RequirementsView{
		Page: connectionPages(p).frame(r, c.Name, "connections"), Now: p.Now(), Head: head, UpdatedAt: c.UpdatedAt,
		Requirements: []connectionsview.Fact{
			{Key: "Owner", Value: req.Owner},
			{Key: "Purpose", Value: req.Purpose},
			{Key: "Data", Value: req.DataClass},
			{Key: "Criticality", Value: req.Criticality},
			{Key: "Availability", Value: percent(req.SLO.Availability)},
			{Key: "Latency", Value: latency(req.SLO.P95), Hint: "95 of 100 calls"},
			{Key: "Expected volume", Value: volume(req.ExpectedVolume)},
		},
		Runbook: doc.Runbook, Notes: doc.Notes,
		Links: []connectionsview.Link{
			{Label: "Vendor's status page", Href: doc.StatusURL}, {Label: "Vendor's documentation", Href: doc.DocsURL}, {Label: "OpenAPI document", Href: doc.OpenAPIURL},
		},
	}
	for _, contact := range doc.Contacts {
		view.Contacts = append(view.Contacts, connectionsview.Contact(contact))
	}
	return p.render(w, r, http.StatusOK, connectionsview.Requirements(view))
}

func percent(f float64) string {
	if f == 0 {
		return ""
	}
	return decimal(f) + " %"
}

func decimal(f float64) string {
	if f == 0 {
		return ""
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func shortest(d runtime.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func volume(v connections.Volume) string {
	if v.Calls == 0 {
		return ""
	}
	return ui.Thousands(int64(v.Calls)) + " calls in " + breakersview.Span(v.Per.Std())
}

func latency(d runtime.Duration) string {
	if d == 0 {
		return ""
	}
	return breakersview.Span(d.Std())
}

func (p requirementPages) edit(w http.ResponseWriter, r *http.Request) error {
	c, head, err := connectionPages(p).find(r)
	if err != nil {
		return err
	}
	req, doc := c.Requirements, c.Documentation
	view := connectionsview.RequirementsForm{
		Head: head, Version: c.Version, Owner: req.Owner, Purpose: req.Purpose, DataClass: req.DataClass, Criticality: req.Criticality,
		Availability: decimal(req.SLO.Availability), P95: shortest(req.SLO.P95), VolumePer: shortest(req.ExpectedVolume.Per),
		Runbook: doc.Runbook, Notes: doc.Notes, StatusURL: doc.StatusURL, DocsURL: doc.DocsURL, OpenAPIURL: doc.OpenAPIURL,
	}
	if req.ExpectedVolume.Calls > 0 {
		view.VolumeCalls = strconv.Itoa(req.ExpectedVolume.Calls)
	}
	lines := make([]string, len(doc.Contacts))
	for i, contact := range doc.Contacts {
		lines[i] = contact.Name + ": " + contact.Reach
	}
	view.Contacts = strings.Join(lines, "\n")
	return p.form(w, r, http.StatusOK, view)
}

func (p requirementPages) form(w http.ResponseWriter, r *http.Request, status int, view connectionsview.RequirementsForm) error {
	view.Page = connectionPages(p).frame(r, "Requirements of "+view.Head.Name)
	view.DataClasses, view.Criticalities = plainOptions(connections.DataClasses()), plainOptions(connections.Criticalities())
	return p.render(w, r, status, connectionsview.EditRequirements(view))
}

func (p requirementPages) update(w http.ResponseWriter, r *http.Request) error {
	form, err := parseFormUpTo(w, r, maxRequirementsForm)
	if err != nil {
		return err
	}
	c, head, err := connectionPages(p).find(r)
	if err != nil {
		return err
	}
	view := connectionsview.RequirementsForm{
		Head: head, Owner: form.Get("requirements.owner"), Purpose: form.Get("requirements.purpose"), DataClass: form.Get("requirements.data_class"),
		Criticality: form.Get("requirements.criticality"), Availability: form.Get("requirements.slo.availability"), P95: form.Get("requirements.slo.p95"),
		VolumeCalls: form.Get("requirements.expected_volume.calls"), VolumePer: form.Get("requirements.expected_volume.per"),
		Runbook: form.Get("documentation.runbook"), Notes: form.Get("documentation.notes"), Contacts: form.Get("documentation.contacts"),
		StatusURL: form.Get("documentation.status_url"), DocsURL: form.Get("documentation.docs_url"), OpenAPIURL: form.Get("documentation.openapi_url"),
		Reason: form.Get("reason"),
	}
	// What was entered builds on the version that the page showed, not on the newest.
	if view.Version, err = seen(form); err != nil {
		return err
	}
	draft := c.Draft()
	requirements, err := requirementsOf(form)
	if err == nil {
		documentation := documentationOf(form)
		draft.Requirements, draft.Documentation = &requirements, &documentation
		_, err = p.Connections.Update(r.Context(), actor(r), c.Slug, draft, view.Reason, view.Version)
	}
	if fault.Is(err, fault.PreconditionFailed) {
		err = fault.New(fault.Conflict, fault.CodeOf(err), "Somebody saved another version in the meantime. Open the page again and repeat your change.")
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		view.Errors = messages
		return p.form(w, r, status, view)
	}
	p.Access.PutFlash(r.Context(), "ok", "Saved.")
	seeOther(w, r, "/connections/"+url.PathEscape(chi.URLParam(r, "slug"))+"/requirements")
	return nil
}

// requirementsOf reads what the form has to be more than text for.
func requirementsOf(form url.Values) (connections.Requirements, error) {
	out := connections.Requirements{
		Owner: form.Get("requirements.owner"), Purpose: form.Get("requirements.purpose"),
		DataClass: form.Get("requirements.data_class"), Criticality: form.Get("requirements.criticality"),
	}
	bad := func(field, message string) error {
		return fault.Field("INVALID_REQUIREMENTS", "requirements."+field, message)
	}
	value := func(field string) string { return strings.TrimSpace(form.Get("requirements." + field)) }
	if text := value("slo.availability"); text != "" {
		f, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(text, "%")), 64)
		if err != nil || math.IsNaN(f) {
			return out, bad("slo.availability", "Write a number, such as 99.9.")
		}
		out.SLO.Availability = f
	}
	for _, f := range []struct {
		field string
		into  *runtime.Duration
	}{{"slo.p95", &out.SLO.P95}, {"expected_volume.per", &out.ExpectedVolume.Per}} {
		if text := value(f.field); text != "" {
			d, err := runtime.ParseDuration(text)
			if err != nil {
				return out, bad(f.field, "Write a duration with its unit, such as 800ms, 2s or 1m.")
			}
			*f.into = d
		}
	}
	if text := value("expected_volume.calls"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return out, bad("expected_volume.calls", "Write a whole number.")
		}
		out.ExpectedVolume.Calls = n
	}
	return out, nil
}

func documentationOf(form url.Values) connections.Documentation {
	out := connections.Documentation{
		Runbook: form.Get("documentation.runbook"), Notes: form.Get("documentation.notes"), StatusURL: form.Get("documentation.status_url"),
		DocsURL: form.Get("documentation.docs_url"), OpenAPIURL: form.Get("documentation.openapi_url"),
	}
	for line := range strings.Lines(form.Get("documentation.contacts")) {
		if line = strings.TrimSpace(line); line != "" {
			name, reach, _ := strings.Cut(line, ":")
			out.Contacts = append(out.Contacts, connections.Contact{Name: strings.TrimSpace(name), Reach: strings.TrimSpace(reach)})
		}
	}
	return out
}
