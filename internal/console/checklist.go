package console

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/checklist"
	"switchgear/internal/connections"
	checklistview "switchgear/web/templates/checklist"
	connectionsview "switchgear/web/templates/connections"
)

type checklistPages struct{ *Console }

func (p checklistPages) routes() []route {
	read, configure := needs(access.PermissionSystemRead), needs(access.PermissionConfigure)
	return []route{
		{http.MethodGet, "/checklist", read, p.matrix},
		{http.MethodGet, "/checklist/export", read, p.export},
		{http.MethodGet, "/connections/{slug}/checklist", read, p.show},
		{http.MethodGet, "/connections/{slug}/checklist/{item}", read, p.item},
		{http.MethodPost, "/connections/{slug}/checklist/{item}/attest", configure, p.attest},
		{http.MethodPost, "/connections/{slug}/checklist/{item}/exempt", configure, p.exempt},
		{http.MethodPost, "/connections/{slug}/checklist/{item}/withdraw", configure, p.withdraw},
	}
}

// badge is how many items of the checklist of a connection are done.
func (c *Console) badge(connectionID string) (done, items int) {
	done, items, ok := c.Checklist.Badge(connectionID)
	if !ok {
		return 0, 0
	}
	return done, items
}

func (c *Console) checklistCount(connectionID string) string {
	done, items := c.badge(connectionID)
	if items == 0 {
		return ""
	}
	return strconv.Itoa(done) + "/" + strconv.Itoa(items)
}

// query reads the filters of the matrix; what is not known falls back to everything, as a page should.
func (p checklistPages) query(r *http.Request) checklist.Query {
	q := r.URL.Query()
	out := checklist.Query{
		Search: q.Get("q"), Environment: q.Get("environment"), Verdict: checklist.Verdict(q.Get("verdict")), Item: q.Get("item"), Sort: q.Get("sort"),
	}
	if !slices.Contains(checklist.Verdicts(), out.Verdict) {
		out.Verdict = ""
	}
	if _, err := checklist.Lookup(out.Item); err != nil {
		out.Item = ""
	}
	if !slices.Contains([]string{"done", "name", "environment"}, strings.TrimPrefix(out.Sort, "-")) {
		out.Sort = ""
	}
	if out.Item != "" && out.Verdict == "" {
		out.Verdict = checklist.VerdictFail
	}
	return out
}

func (p checklistPages) matrix(w http.ResponseWriter, r *http.Request) error {
	q := p.query(r)
	q.Page, q.Limit = paging(r.URL.Query())
	page, err := p.Checklist.List(actor(r), q)
	if err != nil {
		return err
	}
	view := checklistview.MatrixView{
		Page: p.page(r, "Checklist", "checklist", checklist.Topic, "connections"), Now: p.Now(), Total: page.Total, Number: q.Page, Limit: q.Limit,
		Search: q.Search, Environment: q.Environment, Verdict: string(q.Verdict), Item: q.Item, Sort: q.Sort,
	}
	for _, e := range connections.Environments() {
		view.Environments = append(view.Environments, checklistview.Option{Value: e, Label: e})
	}
	for _, item := range checklist.All() {
		info := item.Info()
		view.Items = append(view.Items, checklistview.Item{ID: info.ID, Title: info.Title, About: info.About, Number: info.Number})
	}
	for _, s := range page.Summaries {
		row := checklistview.Row{Slug: s.Slug, Name: s.Name, Environment: s.Environment, Version: s.Version, Done: s.Done, JudgedAt: s.At}
		for _, c := range s.Items {
			row.Verdicts = append(row.Verdicts, string(c.Verdict))
		}
		view.Rows = append(view.Rows, row)
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, checklistview.Table(view))
	}
	return p.render(w, r, http.StatusOK, checklistview.Matrix(view))
}

// export is the matrix as a table for a spreadsheet, with every row that the filters leave.
func (p checklistPages) export(w http.ResponseWriter, r *http.Request) error {
	page, err := p.Checklist.List(actor(r), p.query(r))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="checklist.csv"`)
	head := []string{"connection", "name", "environment", "version", "done", "of", "judged_at"}
	for _, item := range checklist.All() {
		head = append(head, item.Info().ID)
	}
	out := csv.NewWriter(w)
	rows := [][]string{head}
	for _, s := range page.Summaries {
		judged := ""
		if !s.At.IsZero() {
			judged = s.At.UTC().Format(time.RFC3339)
		}
		row := []string{s.Slug, s.Name, s.Environment, strconv.Itoa(s.Version), strconv.Itoa(s.Done), strconv.Itoa(checklist.Total()), judged}
		for _, c := range s.Items {
			row = append(row, string(c.Verdict))
		}
		rows = append(rows, row)
	}
	for _, row := range rows {
		for i := range row {
			row[i] = noFormula(row[i])
		}
	}
	return out.WriteAll(rows)
}

// noFormula keeps a spreadsheet from taking text for a formula.
func noFormula(text string) string {
	if text != "" && strings.ContainsAny(text[:1], "=+-@\t\r\n") {
		return "'" + text
	}
	return text
}

func (p checklistPages) show(w http.ResponseWriter, r *http.Request) error {
	c, head, err := connectionPages(p).find(r)
	if err != nil {
		return err
	}
	list, err := p.Checklist.Of(r.Context(), actor(r), head.Slug)
	if err != nil {
		return err
	}
	head.Checklist = strconv.Itoa(list.Summary.Done) + "/" + strconv.Itoa(len(list.Items))
	view := connectionsview.ChecklistView{
		Page: connectionPages(p).frame(r, head.Name, checklist.Topic, "connections"), Now: p.Now(), Head: head, Done: list.Summary.Done,
		Required:   c.RequiresChecklist(),
		Configured: list.Summary.Passing(checklist.StageConfigured), Proven: list.Summary.Passing(checklist.StageProven), Observed: list.Summary.Passing(checklist.StageObserved),
	}
	// What is missing comes first, the most urgent before the rest.
	items := slices.Clone(list.Items)
	slices.SortStableFunc(items, func(a, b checklist.Result) int {
		return slices.Index(checklist.Verdicts(), a.Verdict) - slices.Index(checklist.Verdicts(), b.Verdict)
	})
	for _, item := range items {
		view.Items = append(view.Items, checklistItem(item, head))
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, connectionsview.ChecklistTable(view))
	}
	return p.render(w, r, http.StatusOK, connectionsview.Checklist(view))
}

func checklistItem(r checklist.Result, head connectionsview.Header) connectionsview.ChecklistItem {
	out := connectionsview.ChecklistItem{
		ID: r.ID, Number: r.Number, Title: r.Title, About: r.About, Verdict: string(r.Verdict), Message: r.Message, Measured: r.Measured, Threshold: r.Threshold,
		ConfigHash: r.ConfigHash, Fix: fix(r, head),
	}
	for _, s := range []struct {
		name string
		checklist.Finding
	}{{"Configured", r.Configured}, {"Proven", r.Proven}, {"Observed", r.Observed}} {
		out.Stages = append(out.Stages, connectionsview.ChecklistStage{
			Name: s.name, Verdict: string(s.Verdict), Message: s.Message, Measured: s.Measured, Threshold: s.Threshold,
		})
	}
	if r.By != nil {
		out.By, out.At, out.Until = string(r.By.Method)+" by "+r.By.ActorName, r.By.At, r.By.ExpiresAt
	}
	return out
}

// fix is the place where an item can be mended by somebody who may.
func fix(r checklist.Result, head connectionsview.Header) connectionsview.Link {
	own := "/connections/" + url.PathEscape(head.Slug)
	link, configures := connectionsview.Link{}, true
	switch r.Fix {
	case checklist.PlaceNone:
		return link
	case checklist.PlaceCalls:
		link, configures = connectionsview.Link{Label: "See calls", Href: own + "/calls"}, false
	case checklist.PlaceVersions:
		link, configures = connectionsview.Link{Label: "Versions", Href: own + "/versions"}, false
	case checklist.PlaceRequirements:
		link = connectionsview.Link{Label: "Fill in", Href: own + "/requirements/edit"}
	case checklist.PlacePolicy:
		link = connectionsview.Link{Label: "Edit", Href: own + "/edit"}
	case checklist.PlaceCredential:
		link = connectionsview.Link{Label: "Credential", Href: own + "/accounts"}
	case checklist.PlaceAlerts:
		link = connectionsview.Link{Label: "Alerts", Href: "/alerts"}
	case checklist.PlaceAttest:
		link = connectionsview.Link{Label: "Attest", Href: own + "/checklist/" + r.ID + "#attest"}
	}
	if configures && !head.CanConfigure {
		return connectionsview.Link{}
	}
	return link
}

func (p checklistPages) item(w http.ResponseWriter, r *http.Request) error {
	return p.itemWith(w, r, http.StatusOK, "", nil, nil)
}

// itemWith is the page of an item, with what was entered into one of its forms.
func (p checklistPages) itemWith(w http.ResponseWriter, r *http.Request, status int, form string, entered url.Values, problems map[string]string) error {
	_, head, err := connectionPages(p).find(r)
	if err != nil {
		return err
	}
	known, err := checklist.Lookup(chi.URLParam(r, "item"))
	if err != nil {
		return err
	}
	list, err := p.Checklist.Of(r.Context(), actor(r), head.Slug)
	if err != nil {
		return err
	}
	result := list.Items[known.Info().Number-1]
	view := connectionsview.ChecklistItemView{
		Page: connectionPages(p).frame(r, result.Title+" of "+head.Name), Now: p.Now(), Head: head, Item: checklistItem(result, head),
		AttestDays: result.MaxDays, ExemptDays: checklist.MaxExemptDays, CanWithdraw: result.Spoken() || form == "withdraw",
		Form: form, Reason: entered.Get("reason"), Days: entered.Get("days"), Errors: problems,
	}
	switch result.Proof {
	case checklist.ProofDrill:
		view.ProofHint = "Nobody can attest this item: only a drill can prove it, and this version runs no drills."
	case checklist.ProofComputed:
		view.ProofHint = "Nobody needs to attest this item: it is computed from the definition."
	case checklist.ProofPerson:
	}
	for _, e := range result.History {
		view.Evidence = append(view.Evidence, connectionsview.ChecklistEvidence{
			Method: string(e.Method), Verdict: string(e.Verdict), Message: e.Message, Measured: e.Measured, Threshold: e.Threshold, Actor: e.ActorName,
			Current: e.ConfigHash == result.ConfigHash, Artifacts: e.Artifacts, At: e.At, Until: e.ExpiresAt,
		})
	}
	return p.render(w, r, status, connectionsview.ChecklistItemPage(view))
}

func (p checklistPages) attest(w http.ResponseWriter, r *http.Request) error {
	return p.say(w, r, "attest", "It is attested.", func(slug, item string, st checklist.Statement) error {
		return p.Checklist.Attest(r.Context(), actor(r), slug, item, st)
	})
}

func (p checklistPages) exempt(w http.ResponseWriter, r *http.Request) error {
	return p.say(w, r, "exempt", "It is exempt for now.", func(slug, item string, st checklist.Statement) error {
		return p.Checklist.Exempt(r.Context(), actor(r), slug, item, st)
	})
}

func (p checklistPages) withdraw(w http.ResponseWriter, r *http.Request) error {
	return p.say(w, r, "withdraw", "It is withdrawn.", func(slug, item string, st checklist.Statement) error {
		return p.Checklist.Withdraw(r.Context(), actor(r), slug, item, st.Reason)
	})
}

// say stores what a person says about an item, or shows the form again with what is wrong.
func (p checklistPages) say(w http.ResponseWriter, r *http.Request, form, done string, do func(slug, item string, st checklist.Statement) error) error {
	entered, err := parseForm(w, r)
	if err != nil {
		return err
	}
	slug, item := chi.URLParam(r, "slug"), chi.URLParam(r, "item")
	days, _ := strconv.Atoi(entered.Get("days")) // 0 is refused beside the field
	err = do(slug, item, checklist.Statement{Reason: entered.Get("reason"), Days: days, ConfigHash: entered.Get("config_hash")})
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.itemWith(w, r, status, form, entered, messages)
	}
	p.Access.PutFlash(r.Context(), "ok", done)
	seeOther(w, r, fmt.Sprintf("/connections/%s/checklist/%s", url.PathEscape(slug), url.PathEscape(item)))
	return nil
}
