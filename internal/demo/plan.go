package demo

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"switchgear/internal/connections"
	"switchgear/internal/sandbox"
	"switchgear/internal/telemetry"
)

// The three connections: a shop that mostly works, payments that throttle and sometimes fail, and a
// partner that breaks off, answers late and answers half.
const (
	slugShop     = "demo-shop"
	slugPayments = "demo-payments"
	slugPartner  = "demo-partner"

	prefixShop     = "/shop"
	prefixPayments = "/payments"
	prefixPartner  = "/partner"

	partnerUser = "switchgear"
)

func newSecrets() secrets {
	return secrets{Shop: rand.Text(), Payments: rand.Text(), Partner: rand.Text()}
}

// drafts are the connections, to a provider on that port.
func drafts(port int, s secrets) []connections.Draft {
	base := "http://127.0.0.1:" + strconv.Itoa(port)
	draft := func(name, slug, prefix, policy, kind string, fields map[string]string) connections.Draft {
		return connections.Draft{
			Name: name, Slug: slug, Kind: connections.KindREST, Provider: connections.GenericProvider, Environment: "sandbox",
			BaseURL: base + prefix, Policy: json.RawMessage(policy), Auth: connections.Auth{Type: kind, Fields: fields},
		}
	}
	return []connections.Draft{
		draft("Demo shop", slugShop, prefixShop, `{"timeout":"5s"}`, "bearer", map[string]string{"token": s.Shop}),
		draft("Demo payments", slugPayments, prefixPayments, `{"timeout":"5s"}`, "api_key", map[string]string{"key": s.Payments, "in": "header", "name": "X-API-Key"}),
		draft("Demo partner", slugPartner, prefixPartner, `{"timeout":"2s"}`, "basic", map[string]string{"username": partnerUser, "password": s.Partner}),
	}
}

// provider is what the connections lead to. Its trouble comes in phases, by the number of requests.
func provider(s secrets) sandbox.Config {
	retryAfter := func(seconds string) map[string]string { return map[string]string{"Retry-After": seconds} }
	slow := sandbox.Duration(2500 * time.Millisecond) // beyond the timeout of the partner's connection
	half := 40
	return sandbox.Config{
		MaxReceived: 200,
		APIs: []sandbox.API{
			{
				Prefix: prefixShop, Paging: sandbox.PagingCursor, Collections: map[string]int{"products": 480, "orders": 1250},
				Auth: sandbox.Auth{Kind: sandbox.AuthBearer, Secret: telemetry.NewSecret(s.Shop)},
			},
			{
				Prefix: prefixPayments, Paging: sandbox.PagingPage, Collections: map[string]int{"charges": 730, "refunds": 41},
				Auth:  sandbox.Auth{Kind: sandbox.AuthAPIKey, Secret: telemetry.NewSecret(s.Payments)},
				Limit: sandbox.Limit{Requests: 60, Per: 30 * time.Second, Dialect: sandbox.DialectRateLimit},
			},
			{
				Prefix: prefixPartner, Paging: sandbox.PagingLink, Collections: map[string]int{"shipments": 96},
				Auth: sandbox.Auth{Kind: sandbox.AuthBasic, Username: partnerUser, Secret: telemetry.NewSecret(s.Partner)},
			},
		},
		Scripts: []sandbox.Script{
			{Path: prefixShop + "/*", Loop: true, Steps: []sandbox.Step{
				{Repeat: 80}, {Repeat: 6, Delay: sandbox.Duration(400 * time.Millisecond)}, {Repeat: 90}, {Status: http.StatusInternalServerError},
			}},
			{Path: prefixPayments + "/*", Loop: true, Steps: []sandbox.Step{
				{Repeat: 20},
				{Repeat: 5, Status: http.StatusTooManyRequests, Headers: retryAfter("2")},
				{Repeat: 30},
				{Repeat: 4, Status: http.StatusServiceUnavailable, Headers: retryAfter("1")},
				{Repeat: 35},
				{Repeat: 2, Status: http.StatusInternalServerError},
			}},
			{Path: prefixPartner + "/*", Loop: true, Steps: []sandbox.Step{
				{Repeat: 10},
				{Repeat: 3, Reset: sandbox.ResetRequest},
				{Repeat: 15},
				{Repeat: 3, Delay: slow},
				{Repeat: 12},
				{Repeat: 4, Status: http.StatusBadGateway},
				{Repeat: 8},
				{Repeat: 2, TruncateAt: &half},
			}},
		},
	}
}

// calls are what the application asks for, in turn: of ten calls five to the shop, three to payments and
// two to the partner.
func calls() []sandbox.Call {
	const rounds = 8
	get := func(slug, path string) sandbox.Call {
		return sandbox.Call{Method: http.MethodGet, Path: "/proxy/" + slug + path}
	}
	all := make([]sandbox.Call, 0, 10*rounds)
	for i := range rounds {
		all = append(all,
			get(slugShop, "/products?limit=20"),
			get(slugPayments, "/charges?limit=10&page="+strconv.Itoa(i+1)),
			get(slugShop, fmt.Sprintf("/orders/order_%06d", 100+i)),
			get(slugPartner, "/shipments?per_page=10&page="+strconv.Itoa(i+1)),
			get(slugShop, "/orders?limit=50"),
			// The key makes a repetition the same charge, so that the list does not grow for ever.
			sandbox.Call{
				Method: http.MethodPost, Path: "/proxy/" + slugPayments + "/charges", Body: fmt.Sprintf(`{"amount":%d,"currency":"EUR"}`, 1000+i),
				IdempotencyKey: fmt.Sprintf("demo-%02d", i),
			},
			get(slugShop, fmt.Sprintf("/products/product_%06d", 1+i*60)),
			get(slugPayments, "/refunds"),
			get(slugPartner, fmt.Sprintf("/shipments/shipment_%06d", 1+i)),
			get(slugShop, "/products?limit=5"),
		)
	}
	all[len(all)-4].Path = "/proxy/" + slugShop + "/products/product_999999" // not there
	return all
}
