package providers

import "slices"

// The dialects in which systems tell their rate limits. Whoever reads the headers walks [Dialects], so
// that a new one cannot be forgotten.
const (
	// DialectNone: nothing in the answers tells the limit.
	DialectNone = "none"
	// DialectRetryAfterOnly: Retry-After on a 429 or 503, nothing before.
	DialectRetryAfterOnly = "retry-after-only"
	// DialectRateLimitDraft: RateLimit and RateLimit-Policy, or RateLimit-Limit, -Remaining and -Reset,
	// as in the drafts of the IETF: the reset is a number of seconds.
	DialectRateLimitDraft = "ratelimit-draft"
	// DialectRateLimitEpoch: RateLimit-Limit, -Remaining and -Reset, the reset as a Unix time.
	DialectRateLimitEpoch = "ratelimit-epoch"
	// DialectXRateLimit: X-RateLimit-Limit, -Remaining and, mostly, -Reset. The reset is a Unix time, a
	// number of seconds or an RFC 3339 date; size and form tell which.
	DialectXRateLimit = "x-ratelimit"
	// DialectXRateLimitHyphen: as x-ratelimit, spelled X-Rate-Limit-Limit, -Remaining and -Reset.
	DialectXRateLimitHyphen = "x-rate-limit"
	// DialectGitHub: X-RateLimit-* with a Unix time; exhaustion is a 403 or 429 with Remaining 0, the
	// secondary limit a 403 or 429 with Retry-After.
	DialectGitHub = "github"
	// DialectShopify: X-Shopify-Shop-Api-Call-Limit as used/size of a leaky bucket, and Retry-After.
	DialectShopify = "shopify"
	// DialectHubSpot: X-HubSpot-RateLimit-Max, -Remaining and -Interval-Milliseconds, and the -Daily pair.
	DialectHubSpot = "hubspot"
	// DialectOpenAI: x-ratelimit-{limit,remaining,reset}-{requests,tokens}; the reset as 1s or 6m0s.
	DialectOpenAI = "openai"
	// DialectAnthropic: anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}; the reset as an RFC 3339 date.
	DialectAnthropic = "anthropic"
	// DialectDiscord: X-RateLimit-Limit, -Remaining, -Reset-After and -Bucket, per route; fractions of seconds.
	DialectDiscord = "discord"
	// DialectLinear: X-RateLimit-Requests-Limit, -Remaining and -Reset, the reset in milliseconds since 1970.
	DialectLinear = "linear"
	// DialectSalesforce: Sforce-Limit-Info as api-usage=used/size of the day.
	DialectSalesforce = "salesforce"
	// DialectSentry: X-Sentry-Rate-Limit-Limit, -Remaining and -Reset, the reset as a Unix time.
	DialectSentry = "sentry"
	// DialectXero: X-MinLimit-Remaining, X-DayLimit-Remaining, X-AppMinLimit-Remaining, and Retry-After.
	DialectXero = "xero"
	// DialectZendesk: X-Rate-Limit and X-Rate-Limit-Remaining per minute, and Retry-After.
	DialectZendesk = "zendesk"
)

// Dialects lists every rate-limit dialect.
func Dialects() []string {
	return []string{
		DialectNone, DialectRetryAfterOnly, DialectRateLimitDraft, DialectRateLimitEpoch, DialectXRateLimit,
		DialectXRateLimitHyphen, DialectGitHub, DialectShopify, DialectHubSpot, DialectOpenAI, DialectAnthropic,
		DialectDiscord, DialectLinear, DialectSalesforce, DialectSentry, DialectXero, DialectZendesk,
	}
}

// WebhookSchemes lists the signature schemes that a provider may name.
func WebhookSchemes() []string {
	return []string{
		"none", "shared-token", "standard-webhooks",
		"asana", "bitbucket", "box", "calendly", "circleci", "discord", "docusign", "dropbox", "elevenlabs",
		"github", "gitlab", "hubspot", "intercom", "lemonsqueezy", "linear", "mailgun", "meta", "notion",
		"paddle", "pagerduty", "paypal", "quickbooks", "razorpay", "sendgrid", "sentry", "shopify", "slack",
		"square", "stripe", "trello", "twilio", "typeform", "vercel", "webflow", "woocommerce", "xero",
		"zendesk", "zoom",
	}
}

func kinds() []string { return []string{KindREST, KindGRPC, KindWebhook, KindBroker} }

func paginations() []string {
	return []string{"cursor", "link-header", "page", "offset", "token", "none"}
}

func categories() []string {
	return []string{
		"accounting", "ai", "analytics", "commerce", "crm", "developer", "generic", "hr", "identity",
		"location", "logistics", "marketing", "messaging", "monitoring", "payments", "productivity",
		"storage", "support",
	}
}

// oauthFields are the presets that every OAuth 2 grant shares.
func oauthFields(more ...string) []string {
	return slices.Concat([]string{"token_url", "revoke_url", "issuer", "scopes", "auth_style", "token_params", "token_lifetime", "token_path"}, more)
}

// presets says, for each auth type, which of its fields a provider may preset. Secret fields are in no
// list. The second result is false for an unknown auth type.
func presets(authType string) ([]string, bool) {
	switch authType {
	case "none", "bearer", "basic", "custom_headers", "mutual_tls":
		return nil, true
	case "hmac_signature":
		return []string{
			"secret_encoding", "algorithm", "string_to_sign", "timestamp_format", "signature_encoding", "header", "header_value",
			"key_id_header", "timestamp_header", "nonce_header",
		}, true
	case "signed_jwt":
		return []string{"algorithm", "secret_encoding", "claims", "lifetime", "header", "scheme"}, true
	case "api_key":
		return []string{"in", "name", "prefix"}, true
	case "oauth2_authorization_code":
		return oauthFields("authorize_url", "authorize_params"), true
	case "oauth2_client_credentials":
		return oauthFields(), true
	case "oauth2_jwt_bearer":
		return []string{"token_url", "revoke_url", "scopes", "audience", "token_params", "token_lifetime", "token_path"}, true
	case "oauth2_device_code":
		return oauthFields("device_authorization_url"), true
	case "aws_sigv4":
		return []string{"region", "service", "payload"}, true
	case "oauth1":
		return []string{"signature_method", "realm"}, true
	}
	return nil, false
}

// required says which presets an auth type cannot do without.
func required(authType string) []string {
	switch authType {
	case "api_key":
		return []string{"in", "name"}
	case "oauth2_authorization_code":
		return []string{"authorize_url", "token_url"}
	case "oauth2_client_credentials", "oauth2_jwt_bearer":
		return []string{"token_url"}
	case "oauth2_device_code":
		return []string{"device_authorization_url", "token_url"}
	case "aws_sigv4":
		return []string{"service"}
	case "oauth1":
		return []string{"signature_method"}
	case "hmac_signature":
		return []string{"algorithm", "string_to_sign", "header", "header_value"}
	case "signed_jwt":
		return []string{"algorithm"}
	}
	return nil
}

// choices lists the values of a preset that has a fixed set of them, nil where any text will do.
func choices(key string) []string {
	switch key {
	case "in":
		return []string{"header", "query", "cookie"}
	case "auth_style":
		return []string{"basic", "post", "private_key_jwt", "mutual_tls"}
	case "payload":
		return []string{"signed", "unsigned"}
	case "signature_method":
		return []string{"HMAC-SHA1", "HMAC-SHA256", "RSA-SHA1"}
	}
	return nil
}
