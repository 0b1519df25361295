package api

import (
	"context"
	"net/http"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/connect"
	"switchgear/internal/fault"
)

// connectLinks have people without access connect accounts; *connect.Service does.
type connectLinks interface {
	CreateSession(ctx context.Context, a access.Actor, n connect.NewSession) (connect.Session, string, error)
	Session(ctx context.Context, a access.Actor, id string) (connect.Session, error)
	Sessions(ctx context.Context, a access.Actor, slug string, page, limit int) ([]connect.Session, int, error)
	RevokeSession(ctx context.Context, a access.Actor, id string) error
}

// ConnectSession is a link by which somebody without access to the console connects one account.
type ConnectSession struct {
	ID         string            `json:"id" example:"cns_01k8"`
	Connection string            `json:"connection" example:"github"`
	Account    string            `json:"account" example:"acme"`
	Label      string            `json:"label,omitempty"`
	Scopes     []string          `json:"scopes,omitempty" doc:"Left out: those of the connection."`
	ReturnURL  string            `json:"return_url,omitempty"`
	Channel    string            `json:"channel,omitempty" doc:"The id of the alert channel that is told."`
	Status     string            `json:"status" enum:"pending,done,failed,revoked,expired" doc:"After failed the link can be used again until it expires."`
	Error      *ConnectionFailed `json:"error,omitempty"`
	CreatedAt  time.Time         `json:"created_at"`
	ExpiresAt  time.Time         `json:"expires_at"`
	EndedAt    time.Time         `json:"ended_at,omitzero"`
}

// ConnectionFailed says why the last try over a link failed.
type ConnectionFailed struct {
	Code    string `json:"code" example:"access_denied"`
	Message string `json:"message"`
}

// ConnectSessionMade is a session with its link, which is told this once.
type ConnectSessionMade struct {
	ConnectSession

	URL string `json:"url" doc:"Where the person goes. Whoever has it can connect the account, so it is a secret; it is told this once."`
	// Older are told together with the link.
	Older []string `json:"older,omitempty" doc:"The ids of links for the same account that can still be used, the newest first and at most 100. Withdraw those that are not meant any more."`
}

// ConnectSessionInput is a session on its way in.
type ConnectSessionInput struct {
	Connection string   `json:"connection" example:"github"`
	Account    string   `json:"account,omitempty" example:"acme" doc:"Made when there is none. Left out: default."`
	Label      string   `json:"label,omitempty" example:"Invoices of Acme" doc:"Shown to the person; at most 200 bytes."`
	Scopes     []string `json:"scopes,omitempty" doc:"Left out: those of the connection."`
	ReturnURL  string   `json:"return_url,omitempty" example:"https://app.example.com/connected" doc:"Where the browser goes afterwards, with connect_session and status, and error after a failure, as parameters."`
	Channel    string   `json:"channel,omitempty" doc:"The id of an alert channel of the kind webhook: it is told of the end, signed, as connect_session.done or connect_session.failed."`
	ExpiresIn  string   `json:"expires_in,omitempty" example:"1h" doc:"How long the link is valid: a minute to a week. Left out: an hour."`
}

func connectSessionOf(s connect.Session) ConnectSession {
	out := ConnectSession{
		ID: s.ID, Connection: s.Slug, Account: s.Account, Label: s.Label, Scopes: s.Scopes, ReturnURL: s.ReturnURL, Channel: s.ChannelID, Status: s.Status,
		CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt, EndedAt: s.EndedAt,
	}
	if s.Code != "" {
		out.Error = &ConnectionFailed{Code: s.Code, Message: s.Problem}
	}
	return out
}

type connectSessionList struct {
	Body struct {
		Data []ConnectSession `json:"data" nullable:"false"`
		Meta Meta             `json:"meta"`
	}
}

type connectSessionOutput struct{ Body ConnectSession }

type createdConnectSession struct {
	Location string `header:"Location" doc:"Where the session is."`
	Body     ConnectSessionMade
}

type listConnectSessions struct {
	Paging

	Connection string `query:"filter[connection]" doc:"The slug of a connection."`
}

func (v *version) connectSessionRoutes() {
	const tag = "Connect links"
	register(v, route{
		method: http.MethodGet, path: "/connect_sessions", id: "list-connect-sessions", tag: tag, summary: "List connect links", description: "The newest first; there is nothing to sort by.",
	}, func(ctx context.Context, in *listConnectSessions) (*connectSessionList, error) {
		if err := checkSort(in.Sort); err != nil {
			return nil, err
		}
		all, total, err := v.deps.Connect.Sessions(ctx, actor(ctx), in.Connection, in.Page, in.Limit)
		if err != nil {
			return nil, err
		}
		out := &connectSessionList{}
		out.Body.Meta, out.Body.Data = in.meta(total), each(all, connectSessionOf)
		return out, nil
	})
	register(v, route{
		method: http.MethodPost, path: "/connect_sessions", id: "create-connect-session", tag: tag, summary: "Make a connect link", status: http.StatusCreated,
		description: "A link for the person who owns an outside account: they consent there, or enter a key, without access to this console. " +
			"It can be used once, and dies with the right of the key that made it.",
	}, func(ctx context.Context, in *struct{ Body ConnectSessionInput }) (*createdConnectSession, error) {
		var life time.Duration
		if in.Body.ExpiresIn != "" {
			var err error
			if life, err = time.ParseDuration(in.Body.ExpiresIn); err != nil {
				return nil, fault.Field("INVALID_LIFE", "expires_in", "This is not a duration.").WithSuggestion("Write 1h or 30m.")
			}
		}
		s, link, err := v.deps.Connect.CreateSession(ctx, actor(ctx), connect.NewSession{
			Connection: in.Body.Connection, Account: in.Body.Account, Label: in.Body.Label, Scopes: in.Body.Scopes, ReturnURL: in.Body.ReturnURL,
			ChannelID: in.Body.Channel, Life: life,
		})
		if err != nil {
			return nil, err
		}
		return &createdConnectSession{
			Location: v.path("/connect_sessions/" + s.ID), Body: ConnectSessionMade{ConnectSession: connectSessionOf(s), URL: link, Older: s.Older},
		}, nil
	})
	register(v, route{
		method: http.MethodGet, path: "/connect_sessions/{id}", id: "get-connect-session", tag: tag, summary: "Read a connect link", description: "What became of it.",
	}, func(ctx context.Context, in *struct{ ByID }) (*connectSessionOutput, error) {
		s, err := v.deps.Connect.Session(ctx, actor(ctx), in.ID)
		return &connectSessionOutput{Body: connectSessionOf(s)}, err
	})
	register(v, route{
		method: http.MethodDelete, path: "/connect_sessions/{id}", id: "revoke-connect-session", tag: tag, summary: "Withdraw a connect link", status: http.StatusNoContent,
		description: "After that nothing is stored by it. One that was used stays as it is; one whose account is being stored at this moment is a 409 `LINK_IN_USE`.",
	}, func(ctx context.Context, in *struct{ ByID }) (*struct{}, error) {
		return nil, v.deps.Connect.RevokeSession(ctx, actor(ctx), in.ID)
	})
}
