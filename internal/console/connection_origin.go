package console

import (
	"net/http"
	"slices"

	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/authtype"
	connectionsview "switchgear/web/templates/connections"
)

// boundTo is the origin that secrets of a connection are stored for, empty when none is where it goes to.
func (p connectionPages) boundTo(r *http.Request, c connections.Connection) (string, error) {
	all, err := p.Connections.Accounts(r.Context(), actor(r), c.Slug)
	origin := credentials.OriginOf(c.BaseURL)
	if err == nil && slices.ContainsFunc(all, func(a credentials.Credential) bool { return a.Origin == origin }) {
		return origin, nil
	}
	return "", err
}

// unagreed is what saving a draft does to accounts whose secrets are for another address, unless whoever saves
// it has seen that: agreed is the address that they were told.
func (p connectionPages) unagreed(r *http.Request, c connections.Connection, d connections.Draft, agreed string) (connectionsview.Move, error) {
	move, err := p.Connections.PreviewUpdate(r.Context(), actor(r), c.Slug, d)
	if err != nil || move.To == agreed {
		return connectionsview.Move{}, err
	}
	return moveView(move), nil
}

func moveView(m connections.Move) connectionsview.Move {
	return connectionsview.Move{From: m.From, To: m.To, Refused: m.Refused, Back: m.Back}
}

// sharesClient reports whether an account of a kind uses the OAuth client of the default one, as far as it brings
// none of its own. An account without a name is one that is to be made.
func sharesClient(account, kind string, stored []credentials.Credential) bool {
	t, err := authtype.Lookup(kind)
	return err == nil && authtype.Interactive(t) && account != credentials.DefaultAccount &&
		slices.ContainsFunc(stored, func(c credentials.Credential) bool {
			return c.Account == credentials.DefaultAccount && c.AuthType == kind
		})
}

// sharedFields are the fields of a client that is shared: empty ones are as those of the account default.
func sharedFields(fields []connectionsview.AuthField, values map[string]string) []connectionsview.AuthField {
	for i := range fields {
		f := &fields[i]
		f.Shared, f.Required = true, false
		if !f.Secret {
			f.Value = values[f.Name]
		}
		if len(f.Options) > 0 {
			f.Options = slices.Insert(slices.Clone(f.Options), 0, connectionsview.Option{Label: "As the account default"})
		}
	}
	return fields
}
