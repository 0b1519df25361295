package console

import (
	"net/http"
	"strconv"

	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/checklist"
	"switchgear/internal/health"
	overviewview "switchgear/web/templates/overview"
)

type overviewPages struct{ *Console }

func (p overviewPages) routes() []route {
	return []route{{http.MethodGet, "/", signedIn(), p.show}}
}

// recentChanges is how many audit entries the overview shows.
const recentChanges = 6

func (p overviewPages) show(w http.ResponseWriter, r *http.Request) error {
	if asksFor(r, overviewview.ImpactRegion) {
		return p.impactPart(w, r)
	}
	view := overviewview.View{Page: p.page(r, "Overview", "overview", "users", "keys", "audit", "connections", health.BoardTopic, checklist.Topic), Now: p.Now(), Users: -1, Keys: -1, AuditEntries: -1}
	a := actor(r)
	if a.Role.Can(access.PermissionUsersRead) {
		users, err := p.Access.Users(r.Context(), a, access.UserQuery{Page: 1, Limit: 1})
		if err != nil {
			return err
		}
		view.Users = users.Total
	}
	if a.Role.Can(access.PermissionKeysRead) {
		keys, err := p.Access.Keys(r.Context(), a, access.KeyQuery{Status: "active", Page: 1, Limit: 1})
		if err != nil {
			return err
		}
		view.Keys = keys.Total
	}
	if a.Role.Can(access.PermissionAuditRead) {
		entries, err := p.Audit.Search(r.Context(), audit.Query{Page: 1, Limit: recentChanges})
		if err != nil {
			return err
		}
		view.AuditEntries = entries.Total
		for _, e := range entries.Entries {
			view.Recent = append(view.Recent, overviewview.Activity{
				At: e.At, Actor: e.Actor.Name, Action: e.Action, Target: e.Target.Name, Href: "/audit/" + strconv.FormatInt(e.Seq, 10),
			})
		}
	}
	board, err := p.Health.Board(a)
	if err != nil {
		return err
	}
	if view.Impact, err = p.impact(r, board); err != nil {
		return err
	}
	view.Connections, view.CanConfigure = view.Impact.All, a.Role.Can(access.PermissionConfigure)
	view.Steps = p.steps(a, view)
	view.Demo = p.demo(a)
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, overviewview.Content(view))
	}
	return p.render(w, r, http.StatusOK, overviewview.Overview(view))
}

// steps lead to the first connection: each says what it is for and offers what the visitor may do.
func (p overviewPages) steps(a access.Actor, view overviewview.View) []overviewview.Step {
	if !a.Role.Can(access.PermissionUsersWrite) && !a.Role.Can(access.PermissionKeysWrite) {
		return nil // nothing here is theirs to do
	}
	// What the demonstration made is nobody's first connection or key.
	demoConnections, demoKeys := p.Demo.Share()
	steps := []overviewview.Step{
		{Title: "Own the console", Text: "The first owner exists.", Done: true},
	}
	if a.Role.Can(access.PermissionUsersWrite) {
		steps = append(steps, overviewview.Step{
			Title: "Invite the people who run integrations", Text: "Operators trip and reset, viewers look, auditors check the record.",
			Href: "/invitations/new", Action: "Invite someone", Done: view.Users > 1,
		})
	}
	if a.Role.Can(access.PermissionKeysWrite) {
		steps = append(steps, overviewview.Step{
			Title: "Make a key for the first application", Text: "Applications call with a key of ours and never see a vendor's credential.",
			Href: "/keys/new", Action: "New API key", Done: view.Keys > demoKeys,
		})
	}
	if a.Role.Can(access.PermissionConfigure) {
		steps = append(steps, overviewview.Step{
			Title: "Define the first connection", Text: "Choose the system, give it a credential, and call it through the gateway.",
			Href: "/connections/new", Action: "New connection", Done: view.Connections > demoConnections,
		})
	}
	return steps
}
