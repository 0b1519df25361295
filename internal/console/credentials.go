package console

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"strings"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	connectionsview "switchgear/web/templates/connections"
	credentialsview "switchgear/web/templates/credentials"
)

// credentialPages are the calendar of what ends.
type credentialPages struct{ *Console }

func (p credentialPages) routes() []route {
	read := needs(access.PermissionSystemRead)
	return []route{
		{http.MethodGet, credentialsview.Path, read, p.calendar},
		{http.MethodGet, credentialsview.Path + "/export", read, p.export},
	}
}

// ending is what the filters leave.
func (p credentialPages) ending(r *http.Request, q url.Values) ([]connections.Expiry, error) {
	all, err := p.Connections.Expiries(r.Context(), actor(r))
	if err != nil {
		return nil, err
	}
	search, group, now := strings.ToLower(strings.TrimSpace(q.Get("q"))), q.Get("group"), p.Now()
	var out []connections.Expiry
	for _, e := range all {
		text := strings.ToLower(e.Slug + "\n" + e.Name + "\n" + e.Account)
		if strings.Contains(text, search) && (group == "" || group == credentialsview.GroupOf(e.At, now)) {
			out = append(out, e)
		}
	}
	return out, nil
}

func (p credentialPages) calendar(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	all, err := p.ending(r, q)
	if err != nil {
		return err
	}
	view := credentialsview.CalendarView{
		Page: p.page(r, "Credentials", "credentials", "connections"), Now: p.Now(), Total: len(all), Search: q.Get("q"), Group: q.Get("group"),
		CanConfigure: actor(r).Role.Can(access.PermissionConfigure),
	}
	view.Number, view.Limit = paging(q)
	from := min((view.Number-1)*view.Limit, len(all))
	for _, e := range all[from:min(from+view.Limit, len(all))] {
		view.Rows = append(view.Rows, credentialsview.Row{
			Slug: e.Slug, Name: e.Name, Environment: e.Environment, Account: e.Account, Kind: e.What, At: e.At,
			Rotatable: credentials.Rotatable(e.AuthType),
		})
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, credentialsview.Table(view))
	}
	return p.render(w, r, http.StatusOK, credentialsview.Calendar(view))
}

// export is the calendar for a spreadsheet, with every row that the filters leave.
func (p credentialPages) export(w http.ResponseWriter, r *http.Request) error {
	all, err := p.ending(r, r.URL.Query())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="credentials.csv"`)
	rows := [][]string{{"connection", "name", "environment", "account", "what", "ends_at"}}
	for _, e := range all {
		rows = append(rows, []string{
			e.Slug, noFormula(e.Name), noFormula(e.Environment), noFormula(e.Account), e.What, e.At.UTC().Format(time.RFC3339),
		})
	}
	return csv.NewWriter(w).WriteAll(rows)
}

// history is what happened to the credentials of a connection, as the accounts tab shows it.
func (p connectionPages) history(r *http.Request, slug string) (connectionsview.CredentialHistory, error) {
	view := connectionsview.CredentialHistory{}
	view.Number, view.Limit = paging(r.URL.Query())
	events, total, err := p.Connections.History(r.Context(), actor(r), slug, "", (view.Number-1)*view.Limit, view.Limit)
	if err != nil {
		return view, err
	}
	view.Total = total
	for _, e := range events {
		view.Rows = append(view.Rows, connectionsview.CredentialEvent{
			ID: e.ID, Account: e.Account, Kind: e.Kind, Detail: e.Detail, Code: e.Code, Actor: e.Actor.Name, At: e.At,
		})
	}
	return view, nil
}
