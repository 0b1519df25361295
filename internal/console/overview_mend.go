package console

import (
	"net/http"
	"net/url"

	"switchgear/internal/credentials"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
	"switchgear/internal/health"
	"switchgear/internal/runtime"
	connectview "switchgear/web/templates/connect"
	overviewview "switchgear/web/templates/overview"
)

// mend is what a person does about the credential of a connection that has a problem. It is empty where nobody can do
// anything here, such as about a token endpoint that does not answer.
func (p overviewPages) mend(r *http.Request, c *health.Item) (overviewview.Mend, error) {
	account, err := connectionPages(p).account(r, c.Slug, c.Status.Account)
	if fault.Is(err, fault.NotFound) { // deleted a moment ago
		return overviewview.Mend{}, nil
	}
	if err != nil {
		return overviewview.Mend{}, err
	}
	account.Account = c.Status.Account
	return mendOf(c.Slug, c.Status.Code, c.NotSetUp(account.Account), account), nil
}

// mendNew is what a connection needs that was never set up.
func mendNew(c *health.Item) overviewview.Mend {
	if c.Status.Code == "CREDENTIAL_NOT_CONNECTED" {
		return overviewview.Mend{Label: "Connect account", Href: connectview.StartPath(c.Slug, c.Status.Account)}
	}
	return mendOf(c.Slug, c.Status.Code, true, credentials.Credential{Account: c.Status.Account})
}

// mendOf decides by the code of the problem and by what is stored: where a person consents, by connecting the account
// again; where a value is not accepted any more, by one that waits and is tested before it replaces the other; and
// where nothing is there that could be used, by entering it.
// fresh says that the account could never be used.
func mendOf(slug, code string, fresh bool, account credentials.Credential) overviewview.Mend {
	accounts := "/connections/" + slug + "/accounts"
	enter := overviewview.Mend{Label: "Enter a credential", Href: accounts + "?account=" + url.QueryEscape(account.Account) + "#account"}
	client := overviewview.Mend{Label: "Edit client", Href: enter.Href}
	reconnect := overviewview.Mend{Label: "Reconnect", Href: connectview.StartPath(slug, account.Account)}
	rotate := overviewview.Mend{Label: "Rotate", Href: accounts + "/" + url.PathEscape(account.Account) + "/rotate"}
	t, err := authtype.Lookup(account.AuthType)
	if account.ID == "" || err != nil {
		return enter // there is none, or none that this release knows
	}
	connects := authtype.Interactive(t)
	switch code {
	case "CREDENTIAL_NOT_CONNECTED":
		if fresh {
			reconnect.Label = "Connect account"
		}
		return reconnect
	case "CREDENTIAL_CORRUPT":
		return enter // the client with it
	case "CREDENTIAL_RENEWAL_FAILED", runtime.CodeCredentialTimeout:
		why := oauth.CodeNoAnswer
		if account.Token != nil && account.Token.ErrorCode != "" {
			why = account.Token.ErrorCode
		}
		switch helpsRenewal(why) {
		case helpNobody:
			return overviewview.Mend{}
		case helpClient:
			return client
		case helpSecret:
			if connects {
				return client // its tokens stay
			}
			return rotate
		case helpConsent:
		}
		if connects {
			return reconnect
		}
		return client
	}
	switch {
	case connects:
		return reconnect
	case code == runtime.CodeCredentialRejected && account.State == credentials.StateActive && credentials.Rotatable(account.AuthType):
		return rotate
	}
	return enter
}

// help is what makes a renewal succeed that failed.
type help int

const (
	helpNobody  help = iota // the server, in time
	helpClient              // other settings of the client
	helpSecret              // another secret of the client
	helpConsent             // another consent
)

// helpsRenewal goes by the code of the failure, as the advice about it does.
func helpsRenewal(code string) help {
	switch code {
	case oauth.CodeUnreachable, oauth.CodeNoAnswer, oauth.CodeServerError, "temporarily_unavailable", oauth.CodeSlowDown:
		return helpNobody
	case "invalid_client", oauth.CodeClientConfig, oauth.CodeClientServer:
		return helpSecret
	case oauth.CodeInvalidGrant, oauth.CodeExpired, oauth.CodeDenied, oauth.CodeOtherServer, "expired",
		"login_required", "interaction_required", "consent_required", "account_selection_required":
		return helpConsent
	}
	return helpClient
}
