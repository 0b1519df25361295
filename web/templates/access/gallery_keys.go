package access

import (
	"fmt"
	"strings"
	"time"

	"switchgear/web/templates/ui"
)

func galleryKeys() []KeyRow {
	return []KeyRow{
		{ID: "4fK2xQ9aLm01", Name: "billing-worker", Status: "active", CreatedBy: "ada@example.com", Scopes: []string{"call:*"}, CreatedAt: ago(20 * day), ExpiresAt: in(70 * day), LastUsedAt: ago(4 * minute)},
		{ID: "4fK2xQ9aLm02", Name: "nightly report", Status: "active", CreatedBy: "grace@example.com", Scopes: []string{"api:read", "call:stripe-live"}, CreatedAt: ago(86 * day), ExpiresAt: in(4 * day), LastUsedAt: ago(7 * hour)},
		{ID: "4fK2xQ9aLm03", Name: "new-deploy", Status: "active", CreatedBy: "ada@example.com", Scopes: []string{"api:read", "api:write"}, CreatedAt: ago(hour)},
		{ID: "4fK2xQ9aLm04", Name: "old-import", Status: "expired", CreatedBy: "ada@example.com", Scopes: []string{"call:hubspot"}, CreatedAt: ago(100 * day), ExpiresAt: ago(10 * day), LastUsedAt: ago(11 * day)},
		{ID: "4fK2xQ9aLm05", Name: "leaked-in-a-log", Status: "revoked", CreatedBy: "grace@example.com", Scopes: []string{"call:*"}, CreatedAt: ago(50 * day), ExpiresAt: in(40 * day), LastUsedAt: ago(45 * day), RevokedAt: ago(45 * day)},
	}
}

func longKey() KeyRow {
	scopes := make([]string, 21)
	for i := range scopes {
		scopes[i] = fmt.Sprintf("call:connection-%02d", i)
	}
	scopes[0] = "call:" + strings.Repeat("long-", 12) + "end"
	return KeyRow{ID: "4fK2xQ9aLm06", Name: longName, Status: "active", CreatedBy: longEmail, Scopes: scopes, CreatedAt: ago(day), ExpiresAt: in(364 * day)}
}

func keysStates() []ui.State {
	view := func(rows []KeyRow) KeysView {
		return KeysView{
			Page: galleryPage("API keys", "keys", "keys"), Now: galleryNow(), Rows: rows, Total: len(rows), Number: 1, Limit: 50, CanWrite: true,
		}
	}
	noHits := view(nil)
	noHits.Search = "billling"
	filtered := view(nil)
	filtered.Status = "revoked"
	beyond := view(nil)
	beyond.Total, beyond.Number = 51, 3
	pages := view(galleryKeys())
	pages.Total, pages.Limit, pages.Sort, pages.Status = 23, 5, "name", "active"
	readerEmpty, reader := view(nil), view(append(galleryKeys(), longKey()))
	for _, v := range []*KeysView{&readerEmpty, &reader} {
		v.Page, v.CanWrite = readerPage("API keys", "keys", "keys"), false
	}
	return []ui.State{
		whole("API keys page", "empty", Keys(view(nil))),
		whole("API keys page", "one", Keys(view(galleryKeys()[:1]))),
		whole("API keys page", "many", Keys(view(galleryKeys()))),
		whole("API keys page", "several pages", Keys(pages)),
		whole("API keys page", "search without hits", Keys(noHits)),
		whole("API keys page", "filter without hits", Keys(filtered)),
		whole("API keys page", "beyond the last page", Keys(beyond)),
		whole("API keys page", "long text", Keys(view([]KeyRow{longKey()}))),
		whole("API keys page", "read-only", Keys(reader)),
		whole("API keys page", "read-only, empty", Keys(readerEmpty)),
		{Group: "API keys page", Name: "the part that refreshes", View: KeysTable(view(galleryKeys()))},
	}
}

func keyNewStates() []ui.State {
	plain := KeyNewView{
		Page: galleryPage("New API key", "keys"), Expiry: "90", Once: galleryID("", 9),
		Scopes: []ScopeChoice{
			{Value: "call:*", Label: "Call every connection", Hint: "Send requests to any connection."},
			{Value: "api:read", Label: "Read the API", Hint: "Read configuration, state and metrics. Never a secret."},
			{Value: "api:write", Label: "Change through the API", Hint: "Everything the read scope allows, and changes."},
		},
		Expiries: []Option{{Value: "30", Label: "30 days"}, {Value: "90", Label: "90 days"}, {Value: "365", Label: "1 year"}, {Value: "never", Label: "Does not expire"}},
	}
	wrong := plain
	wrong.Name, wrong.Connections, wrong.Expiry = longName, "Stripe_Live", "365"
	wrong.Scopes = append([]ScopeChoice(nil), plain.Scopes...)
	wrong.Scopes[1].Checked = true
	wrong.Errors = Errors{
		"name": "Use at most 120 characters.", "scopes": "Choose at least one scope and at most 50.",
		"connections": "There is no such scope. Use call:<connection>, call:*, api:read or api:write.", "expires_at": "The key must expire in the future.",
	}
	return []ui.State{whole("New API key page", "empty", KeyNew(plain)), whole("New API key page", "error, long text", KeyNew(wrong))}
}

func keyCreatedStates() []ui.State {
	plain := KeyCreatedView{
		Page: galleryPage("API key created", "keys"), Now: galleryNow(), Name: "billing-worker", ID: "4fK2xQ9aLm01",
		Key: "sg_4fK2xQ9aLm01_" + strings.Repeat("EXAMPLE", 6) + "0_abcdef", Scopes: []string{"api:read", "call:*"}, ExpiresAt: in(90 * day),
		Example: `curl -H "Authorization: Bearer $API_KEY" https://console.example.com/metrics`,
	}
	bare := plain
	bare.Name, bare.Scopes, bare.Example, bare.ExpiresAt = longName, longKey().Scopes, "", time.Time{}
	return []ui.State{
		whole("New API key page", "created", KeyCreated(plain)),
		whole("New API key page", "created, without example, long text", KeyCreated(bare)),
	}
}
