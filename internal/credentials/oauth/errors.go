package oauth

import (
	"fmt"
	"slices"
)

// The steps that can fail.
const (
	StepAuthorize = "authorization" // the person, or the server before the code
	StepToken     = "token"         // the token endpoint
	StepDevice    = "device authorization"
	StepDiscovery = "discovery"
	StepRegister  = "registration"
	StepRevoke    = "revocation"
)

// The codes of failures that no server named.
const (
	CodeUnreachable  = "unreachable"         // nothing was sent
	CodeNoAnswer     = "no_answer"           // it was sent; nobody knows what became of it
	CodeServerError  = "server_error"        // 5xx or 429
	CodeBadAnswer    = "unreadable_answer"   // an answer that is not one of the protocol
	CodeRefused      = "refused"             // 4xx without a registered code
	CodeClientConfig = "client_not_usable"   // the client cannot authenticate with what is stored
	CodeIssuer       = "issuer_mismatch"     // the answer is of another server
	CodeOtherServer  = "other_server"        // nothing was sent: the token is from another server than the client's
	CodeClientServer = "client_other_server" // nothing was sent: the secret was entered for another server than the client's
	CodeInvalidGrant = "invalid_grant"       // RFC 6749 5.2: the code or refresh token is of no use any more
	CodePending      = "authorization_pending"
	CodeSlowDown     = "slow_down"
	CodeExpired      = "expired_token"
	CodeDenied       = "access_denied"
)

// Error is why a step failed. It holds no secret and nothing of an answer but a registered error code.
type Error struct {
	Step string
	// Code is the server's error code if it is a registered one, or one of ours.
	Code string
	// Status is the HTTP status, 0 when there was no answer.
	Status int
	// Unknown says that the server may have acted: a refresh token may be used up.
	Unknown bool
	cause   error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Status > 0 {
		return fmt.Sprintf("oauth: %s: %s (status %d)", e.Step, e.Code, e.Status)
	}
	return fmt.Sprintf("oauth: %s: %s", e.Step, e.Code)
}

// Unwrap returns the cause, such as a deadline or a refusal to dial.
func (e *Error) Unwrap() error { return e.cause }

// Advice says what a person can do about it.
func (e *Error) Advice() string {
	switch e.Code {
	case CodeUnreachable:
		return "The authorization server cannot be reached from here. Check the URL, and whether calls to its host are allowed."
	case CodeNoAnswer:
		return "The authorization server did not answer in time. Try again in a minute."
	case CodeServerError, "temporarily_unavailable":
		return "The authorization server has trouble of its own. Try again in a minute."
	case CodeBadAnswer:
		if e.Step == StepDiscovery {
			return "There is no metadata of an authorization server at this address. Check it, or enter the endpoints by hand."
		}
		return "The answer is not one of OAuth 2. Check that the URL is that of the endpoint, not of a page."
	case CodeClientConfig:
		return "The client cannot authenticate with what is stored. Check its secret, key or certificate."
	case CodeIssuer:
		return "The answer is that of another authorization server than the issuer names. Check the issuer, and start again."
	case CodeOtherServer:
		return "The client leads to another authorization server than the token is from, so the token was not sent there. Connect the account again, or take the client back."
	case CodeClientServer:
		return "The client leads to another authorization server than the client secret of the account was entered for, so nothing was sent there. Enter the client secret of the account again, or take the client back."
	case CodeInvalidGrant:
		return "The grant is not valid any more: it was used, revoked or has expired. Connect the account again."
	case CodePending:
		return "Nobody has consented yet."
	case CodeExpired:
		return "The time for the consent is over. Start again."
	case CodeDenied:
		return "Consent was denied. Start again and allow the access."
	case "invalid_client":
		return "The server does not accept the client. Check client ID, client secret and the way the client authenticates."
	case "unauthorized_client", "unsupported_grant_type", "unsupported_response_type":
		return "The client may not use this kind of grant. Allow it where the client is registered."
	case "invalid_scope", "insufficient_scope":
		return "The server does not grant these scopes. Check their names, and what the client may ask for."
	case "invalid_target":
		return "The server does not know the resource or audience. Check the extra parameters."
	case "invalid_request", "invalid_redirect_uri", "invalid_client_metadata":
		return "The server does not accept the request. Check the redirect URI that is registered there, and the extra parameters."
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		return "The server wants the person to act. Start again and complete what it asks for."
	}
	if e.Step == StepRegister {
		return "The server does not register this client by itself. Register it there by hand, with the redirect URI."
	}
	return "The server refused. Check the settings of the client there and here."
}

// registered returns code if it is one that the specifications define, or the one that a vendor's code stands
// for, else CodeRefused: what a server writes there could be anything.
func registered(code string) string {
	if slices.Contains(registeredCodes(), code) {
		return code
	}
	if meant, ok := vendorCodes()[code]; ok {
		return meant
	}
	return CodeRefused
}

// vendorCodes are the codes of servers with names of their own for what RFC 6749 5.2 names.
func vendorCodes() map[string]string {
	return map[string]string{
		// GitHub
		"bad_verification_code": CodeInvalidGrant, "bad_refresh_token": CodeInvalidGrant,
		"incorrect_client_credentials": "invalid_client", "redirect_uri_mismatch": "invalid_request",
		// Slack
		"invalid_code": CodeInvalidGrant, "code_already_used": CodeInvalidGrant, "invalid_refresh_token": CodeInvalidGrant,
		"invalid_client_id": "invalid_client", "bad_client_secret": "invalid_client", "bad_redirect_uri": "invalid_request",
	}
}

func registeredCodes() []string {
	return []string{
		"invalid_request", "invalid_client", CodeInvalidGrant, "unauthorized_client", "unsupported_grant_type", "invalid_scope",
		CodeDenied, "unsupported_response_type", CodeServerError, "temporarily_unavailable", // RFC 6749
		"unsupported_token_type",               // RFC 7009
		CodePending, CodeSlowDown, CodeExpired, // RFC 8628
		"invalid_redirect_uri", "invalid_client_metadata", // RFC 7591
		"invalid_target",                                                                           // RFC 8707
		"insufficient_scope",                                                                       // RFC 6750
		"login_required", "interaction_required", "consent_required", "account_selection_required", // OpenID Connect
	}
}
