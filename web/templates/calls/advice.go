package calls

// advice says what to look at after a call that ended with an error of ours, or with an answer that names
// a trouble. Empty when the message says all there is.
func (v CallView) advice() string {
	switch v.ErrorCode {
	case "UPSTREAM_CONNECT_FAILED":
		return "Nothing was sent. Check host and port of the base URL, the DNS, and whether the system is up."
	case "UPSTREAM_TLS_FAILED":
		return "Nothing was sent. Check the certificate of the upstream, and that the base URL names its host."
	case "UPSTREAM_TIMEOUT":
		return "The upstream may have acted on it. Look there before you send it again; the timeout is part of the policy."
	case "UPSTREAM_RESET", "UPSTREAM_BAD_RESPONSE":
		return "The upstream may have acted on it. Look there before you send it again."
	case "EGRESS_DENIED":
		return "Private addresses are closed until a rule opens them: SWITCHGEAR_EGRESS_ALLOW."
	case "BREAKER_OPEN":
		return "Too many calls failed, so they are kept back for a while; probes find out when the upstream is well again."
	case "CONNECTION_HELD":
		return "Calls wait until the pause is over. The caller got it as Retry-After."
	case "CONNECTION_RATE_LIMITED":
		return "The caller got the time to wait as Retry-After. The limits show which of them is used up, and what the vendor says."
	case "BULKHEAD_FULL":
		return "As many calls as the policy allows are under way at once: the upstream is slow, or the bulkhead is too small."
	case "CONNECTION_PAUSED":
		return "A person or a program paused it; the audit log says who, and why."
	case "CREDENTIAL_OTHER_ORIGIN":
		return "What is stored is not sent to another scheme, host or port than it was entered for. Enter it again, or connect the account again, under Accounts of the connection; or roll the connection back."
	case "CREDENTIAL_MISSING", "CREDENTIAL_NEEDS_REAUTH", "CREDENTIAL_REVOKED", "CREDENTIAL_CORRUPT", "CREDENTIAL_FAILED", "CREDENTIAL_REJECTED":
		return "Enter a new credential under Accounts of the connection."
	case "CREDENTIAL_NOT_CONNECTED":
		return "Nobody has consented for this account yet. Connect it under Accounts of the connection."
	case "CREDENTIAL_RENEWAL_FAILED":
		return "The token endpoint gave no new token. Accounts of the connection says why, and when it is asked again."
	case "CREDENTIAL_TIMEOUT":
		return "The token endpoint was too slow for the timeout of the policy. The renewal went on, so a call that is sent again finds the new token."
	case "INVALID_PATH", "METHOD_UNSUPPORTED", "UPGRADE_UNSUPPORTED", "CALLER_CANCELED", "CALLER_BODY_FAILED", "CALLER_TOO_SLOW":
		return "This is about the application that called; the upstream had no part in it."
	}
	return ""
}

// answered says what an answer of the upstream that is no success means; empty for the others.
func (v CallView) answered() string {
	switch v.Call.Outcome {
	case "unauthenticated":
		return "The upstream did not accept the credential. Enter a new one under Accounts of the connection."
	case "forbidden":
		return "The upstream knows the credential and does not let it do this."
	case "throttled":
		return "The upstream asked for fewer calls. Those that follow are held until the time it named."
	case "server_error", "unavailable", "timeout_status":
		return "The upstream answered with a problem of its own."
	}
	return ""
}

// toConnect is how long a connection took, or why that is not known.
func (v CallView) toConnect() string {
	switch {
	case v.Call.Attempts == 0:
		return "it was never sent"
	case v.Call.Outcome == "connect_failed", v.Call.Outcome == "tls_failed":
		return "no connection came about"
	}
	return "an open connection was used"
}
