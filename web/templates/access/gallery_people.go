package access

import (
	"fmt"

	"switchgear/web/templates/ui"
)

func ada() UserRow {
	return UserRow{ID: galleryID("usr_", 1), Email: "ada@example.com", Name: "Ada Lovelace", Role: "owner", Self: true, CreatedAt: ago(400 * day), LastSignInAt: ago(5 * minute)}
}

func grace() UserRow {
	return UserRow{ID: galleryID("usr_", 2), Email: "grace@example.com", Name: "Grace Hopper", Role: "operator", CreatedAt: ago(21 * day), LastSignInAt: ago(3 * hour)}
}

func alan() UserRow {
	return UserRow{ID: galleryID("usr_", 3), Email: "alan@example.com", Name: "Alan Turing", Role: "admin", Disabled: true, CreatedAt: ago(90 * day), LastSignInAt: ago(30 * day)}
}

func longUser() UserRow {
	return UserRow{ID: galleryID("usr_", 4), Email: longEmail, Name: longName, Role: "viewer", CreatedAt: ago(minute)}
}

func usersStates() []ui.State {
	one := UsersView{
		Page: galleryPage("Users", "users", "users", "invitations"), Now: galleryNow(), Rows: []UserRow{ada()}, Total: 1, Number: 1, Limit: 50,
		Roles: galleryRoles(), CanWrite: true,
	}
	many := one
	many.Rows, many.Total, many.Number, many.Sort, many.PendingInvitations = []UserRow{ada(), grace(), alan(), longUser()}, 64, 2, "-created_at", 3
	for i := range 8 {
		many.Rows = append(many.Rows, UserRow{
			ID: galleryID("usr_", 10+i), Email: fmt.Sprintf("user%02d@example.com", i), Name: fmt.Sprintf("User %d", i), Role: "viewer", CreatedAt: ago(2 * day),
		})
	}
	many.Limit = len(many.Rows)
	noHits := one
	noHits.Rows, noHits.Total, noHits.Search, noHits.Role = nil, 0, "nobody <b>here</b>", "auditor"
	filtered := one
	filtered.Rows, filtered.Total, filtered.Status = nil, 0, "disabled"
	empty := one
	empty.Rows, empty.Total = nil, 0
	beyond := one
	beyond.Rows, beyond.Total, beyond.Number = nil, 64, 9
	reader := many
	reader.Page, reader.CanWrite, reader.PendingInvitations = readerPage("Users", "users", "users", "invitations"), false, 1
	reader.Rows = []UserRow{grace(), longUser()}
	reader.Total, reader.Number, reader.Limit = 2, 1, 50
	return []ui.State{
		whole("Users page", "empty", Users(empty)),
		whole("Users page", "one", Users(one)),
		whole("Users page", "many", Users(many)),
		whole("Users page", "search without hits", Users(noHits)),
		whole("Users page", "filter without hits", Users(filtered)),
		whole("Users page", "beyond the last page", Users(beyond)),
		whole("Users page", "read-only, long text", Users(reader)),
		{Group: "Users page", Name: "the part that refreshes", View: UsersTable(many)},
	}
}

func userStates() []ui.State {
	active := UserView{
		Page: galleryPage("grace@example.com", "users", "users", "sessions"), Now: galleryNow(), User: grace(), RoleText: "Trip and reset breakers, pause, roll back and mute alerts. Sees API keys, not users.",
		PasswordChangedAt: ago(21 * day), UpdatedAt: ago(2 * day), Roles: galleryRoles(), Sessions: gallerySessions()[1:3], CanChange: true,
	}
	disabled := active
	disabled.User, disabled.RoleText, disabled.Sessions, disabled.DisabledAt = alan(), "Everything except touching owners.", nil, ago(30*day)
	wrong := active
	wrong.Errors, wrong.ChosenRole, wrong.Reason = Errors{"": "This is the last active owner. Make somebody else an owner first.", "reason": "Say why: it goes into the audit log."}, "viewer", "?"
	self := active
	self.User, self.RoleText, self.Sessions = ada(), "Everything, including other owners.", gallerySessions()
	self.Roles, self.CanChange, self.WhyNot = nil, false, "Nobody changes their own role or disables themselves: ask another owner or admin."
	reader := active
	reader.Page, reader.Roles, reader.CanChange, reader.WhyNot = readerPage("grace@example.com", "users", "users", "sessions"), nil, false, "Your role may look at users and not change them."
	long := active
	long.User, long.RoleText, long.Sessions = longUser(), "Looks at integrations. Changes nothing.", []SessionRow{longSession()}
	return []ui.State{
		whole("User page", "active", User(active)),
		whole("User page", "disabled, no sessions", User(disabled)),
		whole("User page", "error", User(wrong)),
		whole("User page", "oneself", User(self)),
		whole("User page", "read-only", User(reader)),
		whole("User page", "long text", User(long)),
	}
}

func confirmStates() []ui.State {
	disable := ConfirmView{
		Page: galleryPage("Disable grace@example.com", "users"), Title: "Disable grace@example.com?", Consequence: DisableConsequence, Confirm: "Disable user",
		Action: grace().href() + "/disable", Cancel: grace().href(), Danger: true, NeedsReason: true,
	}
	wrong := disable
	wrong.Reason, wrong.Errors = " ", Errors{"reason": "Say why: it goes into the audit log."}
	enable := ConfirmView{
		Page: galleryPage("Enable alan@example.com", "users"), Title: "Enable alan@example.com?", Consequence: EnableConsequence, Confirm: "Enable user",
		Action: alan().href() + "/enable", Cancel: alan().href(), NeedsReason: true,
	}
	revoke := ConfirmView{
		Page: galleryPage("Revoke the invitation", "users"), Title: "Revoke the invitation of " + longEmail + "?", Consequence: RevokeInvitationConsequence,
		Confirm: "Revoke invitation", Action: galleryInvitations()[0].href(), Cancel: "/invitations", Danger: true, Hidden: map[string]string{"from": "/invitations"},
	}
	revokeKey := ConfirmView{
		Page: galleryPage("Revoke billing-worker", "keys"), Title: "Revoke the key billing-worker?", Subject: galleryKeys()[0].ID, Consequence: RevokeKeyConsequence,
		Confirm: "Revoke key", Action: galleryKeys()[0].href(), Cancel: "/keys", Danger: true, NeedsReason: true,
	}
	return []ui.State{
		whole("Confirmation page", "revoke a key", Confirm(revokeKey)),
		whole("Confirmation page", "disable", Confirm(disable)),
		whole("Confirmation page", "error", Confirm(wrong)),
		whole("Confirmation page", "harmless", Confirm(enable)),
		whole("Confirmation page", "no reason, long text", Confirm(revoke)),
	}
}

func galleryInvitations() []InvitationRow {
	row := func(n int, email, role, status string) InvitationRow {
		return InvitationRow{ID: galleryID("inv_", n), Email: email, Role: role, InvitedBy: "ada@example.com", Status: status, CreatedAt: ago(day), ExpiresAt: in(2 * day)}
	}
	rows := []InvitationRow{
		row(1, "katherine@example.com", "operator", "pending"), row(2, longEmail, "viewer", "pending"), row(3, "grace@example.com", "operator", "accepted"),
		row(4, "linus@example.com", "auditor", "expired"), row(5, "mallory@example.com", "admin", "revoked"),
	}
	rows[1].InvitedBy = longEmail
	rows[3].CreatedAt, rows[3].ExpiresAt = ago(30*day), ago(27*day)
	return rows
}

func invitationsStates() []ui.State {
	view := func(canWrite bool, rows []InvitationRow) InvitationsView {
		page := galleryPage("Invitations", "users", "invitations")
		if !canWrite {
			page = readerPage("Invitations", "users", "invitations")
		}
		return InvitationsView{Page: page, Now: galleryNow(), Rows: rows, CanWrite: canWrite}
	}
	all := galleryInvitations()
	return []ui.State{
		whole("Invitations page", "empty", Invitations(view(true, nil))),
		whole("Invitations page", "one", Invitations(view(true, all[:1]))),
		whole("Invitations page", "many, long text", Invitations(view(true, all))),
		whole("Invitations page", "read-only", Invitations(view(false, all))),
		whole("Invitations page", "read-only, empty", Invitations(view(false, nil))),
		{Group: "Invitations page", Name: "the part that refreshes", View: InvitationsTable(view(true, all))},
	}
}

func inviteStates() []ui.State {
	plain := InviteView{Page: galleryPage("Invite someone", "users"), Role: "viewer", Roles: galleryRoles(), Once: galleryID("", 8)}
	wrong := plain
	wrong.Email, wrong.Role, wrong.Errors = "grace@example.com", "", Errors{"email": "Somebody with this address has an account already.", "role": "There is no such role."}
	return []ui.State{whole("Invite page", "empty", Invite(plain)), whole("Invite page", "error", Invite(wrong))}
}

func invitedStates() []ui.State {
	plain := InvitedView{
		Page: galleryPage("Invitation ready", "users"), Now: galleryNow(), Email: "katherine@example.com", Role: "operator",
		Link: "https://console.example.com/accept?token=4fK2xQ9aLm0Z7hQ2c9Yb1n", ExpiresAt: in(3 * day),
	}
	long := plain
	long.Email = longEmail
	return []ui.State{whole("Invite page", "link ready", Invited(plain)), whole("Invite page", "link ready, long text", Invited(long))}
}

func gallerySessions() []SessionRow {
	return []SessionRow{
		{
			ID: galleryID("ses_", 1), IP: "192.0.2.14", UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", Browser: "Firefox on Linux",
			Current: true, CreatedAt: ago(5 * minute), LastSeenAt: ago(0), ExpiresAt: in(12*hour - 5*minute),
		},
		{
			ID: galleryID("ses_", 2), IP: "2001:db8:85a3:8d3:1319:8a2e:370:7348", UserAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 19_3 like Mac OS X) Safari/605.1.15", Browser: "Safari on iPhone",
			CreatedAt: ago(8 * hour), LastSeenAt: ago(2 * hour), ExpiresAt: in(4 * hour),
		},
		{ID: galleryID("ses_", 3), IP: "198.51.100.7", Browser: "Unknown browser", CreatedAt: ago(11 * hour), LastSeenAt: ago(11 * hour), ExpiresAt: in(hour)},
	}
}

func longSession() SessionRow {
	return SessionRow{
		ID: galleryID("ses_", 4), IP: "2001:db8:85a3:8d3:1319:8a2e:370:7348", UserAgent: longAgent, Browser: longAgent, CreatedAt: ago(hour), LastSeenAt: ago(minute), ExpiresAt: in(11 * hour),
	}
}

func sessionsStates() []ui.State {
	view := func(rows []SessionRow) SessionsView {
		return SessionsView{Page: galleryPage("Your sessions", "profile", "sessions"), Now: galleryNow(), Rows: rows}
	}
	many := append(gallerySessions(), longSession())
	return []ui.State{
		whole("Sessions page", "empty", Sessions(view(nil))),
		whole("Sessions page", "one", Sessions(view(many[:1]))),
		whole("Sessions page", "many, long text", Sessions(view(many))),
		{Group: "Sessions page", Name: "the part that refreshes", View: SessionsTable(view(many))},
	}
}

func profileStates() []ui.State {
	plain := ProfileView{
		Page: galleryPage("Your profile", "profile"), Now: galleryNow(), Email: "ada@example.com", Name: "Ada Lovelace", Role: "owner",
		RoleText: "Everything, including other owners.", PasswordChangedAt: ago(20 * day), LastSignInAt: ago(5 * minute), Sessions: 3, MinPassword: 12,
	}
	name := plain
	name.Name, name.NameErrors = "", Errors{"name": "Enter a name."}
	password := plain
	password.PasswordErrors = Errors{"current": "That is not your present password."}
	throttled := plain
	throttled.Sessions, throttled.PasswordErrors = 1, Errors{"": "Too many attempts. Try again in 40 seconds."}
	long := plain
	long.Email, long.Name = longEmail, longName
	return []ui.State{
		whole("Profile page", "plain", Profile(plain)),
		whole("Profile page", "error in the name", Profile(name)),
		whole("Profile page", "error in the password", Profile(password)),
		whole("Profile page", "throttled", Profile(throttled)),
		whole("Profile page", "long text", Profile(long)),
	}
}
