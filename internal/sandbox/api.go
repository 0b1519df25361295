package sandbox

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// The kinds of credential that an API asks for.
const (
	AuthNone   = "none"
	AuthBearer = "bearer"
	AuthAPIKey = "api_key"
	AuthBasic  = "basic"
	AuthOAuth  = "oauth" // a token of the OAuth server here
)

// The ways in which an API pages its lists.
const (
	PagingPage   = "page"   // ?page=&limit=, answered with a total
	PagingCursor = "cursor" // ?cursor=&limit=, answered with next_cursor
	PagingLink   = "link"   // ?page=&per_page=, answered with a Link header
)

const (
	defaultPage = 20
	maxPage     = 100
	// maxCreated bounds what callers can store in one collection.
	maxCreated = 10_000
	maxRecords = 1_000_000
)

// API is one JSON API of the provider. Its records are made from their number and always the same.
type API struct {
	// Prefix is where it is: "/shop". Its root answers with the names of the collections.
	Prefix string
	Auth   Auth
	// Paging is one of the Paging constants; empty is page.
	Paging string
	Limit  Limit
	// Collections are the names of its lists and how many records each begins with.
	Collections map[string]int
}

// Auth is the credential that an API asks for.
type Auth struct {
	// Kind is one of the Auth constants; empty is none.
	Kind string
	// Secret is the token, key or password.
	Secret telemetry.Secret
	// Username goes with basic.
	Username string
	// Header and Query name where an API key is looked for. Both empty: the header X-API-Key.
	Header, Query string
	// Scope is what a token of the OAuth server must have been granted. Empty: any.
	Scope string
}

func (a API) check() error {
	switch {
	case !strings.HasPrefix(a.Prefix, "/") || len(a.Prefix) < 2 || strings.HasSuffix(a.Prefix, "/"):
		return fault.Newf(fault.Invalid, "sandbox: the prefix %q is not like /shop", a.Prefix)
	case !slices.Contains([]string{"", AuthNone, AuthBearer, AuthAPIKey, AuthBasic, AuthOAuth}, a.Auth.Kind):
		return fault.Newf(fault.Invalid, "sandbox: there is no kind of credential %q", a.Auth.Kind)
	case slices.Contains([]string{AuthBearer, AuthAPIKey, AuthBasic}, a.Auth.Kind) && a.Auth.Secret.IsZero():
		return fault.Newf(fault.Invalid, "sandbox: %s has no secret", a.Prefix)
	case !slices.Contains([]string{"", PagingPage, PagingCursor, PagingLink}, a.Paging):
		return fault.Newf(fault.Invalid, "sandbox: there is no paging %q", a.Paging)
	}
	for name, n := range a.Collections {
		if n < 0 || n > maxRecords {
			return fault.Newf(fault.Invalid, "sandbox: %s cannot have %d records", name, n)
		}
	}
	return a.Limit.check()
}

// apiState is an API and what has become of it.
type apiState struct {
	API

	window      window
	collections map[string]*collection
	// idempotent holds the answers of requests that carried a key.
	idempotent map[string]remembered
}

type remembered struct {
	sum    [sha256.Size]byte
	answer answer
}

// collection is a list of records: those it began with, without those that were deleted, and those made since.
type collection struct {
	size    int
	deleted map[string]bool
	created []json.RawMessage
}

func newAPIState(a API) *apiState {
	s := &apiState{API: a, collections: map[string]*collection{}, idempotent: map[string]remembered{}}
	for name, n := range a.Collections {
		s.collections[name] = &collection{size: n, deleted: map[string]bool{}}
	}
	return s
}

func (s *Sandbox) answerAPI(a *apiState, r *http.Request, body []byte) answer {
	if err := s.authenticate(a.Auth, r); err != nil {
		out := problem(err)
		out.header.Set("WWW-Authenticate", challenge(a.Auth))
		return out
	}
	header, limited := a.window.take(a.Limit, s.now())
	if limited {
		out := problem(fault.New(fault.RateLimited, "", "Too many requests."))
		out.status = a.Limit.refusal()
		maps.Copy(out.header, header)
		return out
	}
	out := a.answer(r, body)
	maps.Copy(out.header, header)
	return out
}

func (a *apiState) answer(r *http.Request, body []byte) answer {
	name, id, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, a.Prefix), "/"), "/")
	if name == "" {
		return jsonAnswer(http.StatusOK, map[string]any{"status": "ok", "collections": slices.Sorted(maps.Keys(a.Collections))})
	}
	c, ok := a.collections[name]
	if !ok {
		return problem(fault.New(fault.NotFound, "", "There is no such collection."))
	}
	switch {
	case id == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		return a.list(r.URL, name, c)
	case id == "" && r.Method == http.MethodPost:
		return a.create(r, name, c, body)
	case id != "" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		if i, ok := c.find(name, id); ok {
			return jsonAnswer(http.StatusOK, c.record(name, i))
		}
		return problem(fault.New(fault.NotFound, "", "There is no such record."))
	case id != "" && r.Method == http.MethodDelete:
		if _, ok := c.find(name, id); !ok {
			return problem(fault.New(fault.NotFound, "", "There is no such record."))
		}
		c.deleted[id] = true
		return answer{status: http.StatusNoContent, header: http.Header{}}
	}
	return problem(fault.New(fault.MethodNotAllowed, "", "This method is not possible here."))
}

func (c *collection) total() int { return c.size + len(c.created) }

// record is the record at position i, from 0. What it says depends on its number only.
func (c *collection) record(name string, i int) any {
	if i >= c.size {
		return c.created[i-c.size]
	}
	started := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return map[string]any{
		"id": recordID(name, i), "name": fmt.Sprintf("%s %d", strings.TrimSuffix(name, "s"), i+1),
		"amount": 100 + i*37%9900, "currency": "EUR", "created_at": started.Add(time.Duration(i) * time.Hour),
	}
}

func recordID(name string, i int) string {
	return fmt.Sprintf("%s_%06d", strings.TrimSuffix(name, "s"), i+1)
}

func (c *collection) find(name, id string) (int, bool) {
	number, ok := strings.CutPrefix(id, strings.TrimSuffix(name, "s")+"_")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 || n > c.total() || c.deleted[id] || recordID(name, n-1) != id {
		return 0, false
	}
	return n - 1, true
}

// create stores what was sent under the next number. A key that was used before gets the answer it got
// then, and nothing is stored; with another body it is refused.
func (a *apiState) create(r *http.Request, name string, c *collection, body []byte) answer {
	key, sum := r.Header.Get("Idempotency-Key"), sha256.Sum256(body)
	if before, ok := a.idempotent[name+" "+key]; ok && key != "" {
		if before.sum != sum {
			return problem(fault.New(fault.Unprocessable, "IDEMPOTENCY_KEY_REUSED", "The key was used with another body."))
		}
		return answer{status: before.answer.status, header: before.answer.header.Clone(), body: before.answer.body}
	}
	record := map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &record); err != nil {
		return problem(fault.New(fault.Invalid, "", "The body must be a JSON object."))
	}
	if len(c.created) >= maxCreated {
		return problem(fault.New(fault.Conflict, "", "The collection is full."))
	}
	id := recordID(name, c.total())
	record["id"] = encode(id)
	c.created = append(c.created, encode(record))
	out := jsonAnswer(http.StatusCreated, record)
	out.header.Set("Location", a.Prefix+"/"+name+"/"+id)
	if key != "" && len(a.idempotent) < maxCreated {
		a.idempotent[name+" "+key] = remembered{sum, answer{status: out.status, header: out.header.Clone(), body: out.body}}
	}
	return out
}

// list is one page of a collection. Cursors hold the position of the next record.
func (a *apiState) list(u *url.URL, name string, c *collection) answer {
	q := u.Query()
	sizeName := "limit"
	if a.Paging == PagingLink {
		sizeName = "per_page"
	}
	limit, err1 := positive(q.Get(sizeName), defaultPage)
	page, err2 := positive(q.Get("page"), 1)
	limit = min(limit, maxPage)
	from := (page - 1) * limit
	if a.Paging == PagingCursor {
		from, err2 = decodeCursor(q.Get("cursor"))
	}
	if err1 != nil || err2 != nil {
		return problem(fault.New(fault.Invalid, "", "The page or cursor is not valid."))
	}
	records, next := []any{}, from
	for ; next < c.total() && len(records) < limit; next++ {
		if !c.deleted[recordID(name, next)] {
			records = append(records, c.record(name, next))
		}
	}
	more := next < c.total()
	switch a.Paging {
	case PagingCursor:
		meta := map[string]any{"next_cursor": nil}
		if more {
			meta["next_cursor"] = base64.RawURLEncoding.EncodeToString([]byte("from:" + strconv.Itoa(next)))
		}
		return jsonAnswer(http.StatusOK, map[string]any{"data": records, "meta": meta})
	case PagingLink:
		out := jsonAnswer(http.StatusOK, records)
		if more {
			out.header.Set("Link", linkTo(u, page+1, "next"))
		}
		return out
	}
	return jsonAnswer(http.StatusOK, map[string]any{
		"data": records, "meta": map[string]int{"page": page, "limit": limit, "total": c.total() - len(c.deleted)},
	})
}

func linkTo(u *url.URL, page int, rel string) string {
	q := u.Query()
	q.Set("page", strconv.Itoa(page))
	return "<" + u.Path + "?" + q.Encode() + `>; rel="` + rel + `"`
}

func positive(text string, otherwise int) (int, error) {
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxRecords {
		return 0, fmt.Errorf("%q is not a positive number", text)
	}
	return n, nil
}

func decodeCursor(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return 0, err
	}
	number, ok := strings.CutPrefix(string(raw), "from:")
	if !ok {
		return 0, fmt.Errorf("%q is not a cursor", text)
	}
	return positive(number, 0)
}

// authenticate checks the credential of a request.
func (s *Sandbox) authenticate(a Auth, r *http.Request) error {
	token, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	accepted := false
	switch a.Kind {
	case AuthNone, "":
		return nil
	case AuthBearer:
		accepted = isBearer && same(token, a.Secret.Reveal())
	case AuthAPIKey:
		accepted = same(presentedKey(a, r), a.Secret.Reveal())
	case AuthBasic:
		username, password, ok := r.BasicAuth()
		accepted = ok && username == a.Username && same(password, a.Secret.Reveal())
	case AuthOAuth:
		return s.oauth.authorize(token, a.Scope, s.now())
	}
	if !accepted {
		return fault.New(fault.Unauthenticated, "", "The credential is not accepted.")
	}
	return nil
}

func presentedKey(a Auth, r *http.Request) string {
	if a.Query != "" {
		return r.URL.Query().Get(a.Query)
	}
	if a.Header != "" {
		return r.Header.Get(a.Header)
	}
	return r.Header.Get("X-Api-Key")
}

func challenge(a Auth) string {
	switch a.Kind {
	case AuthBasic:
		return `Basic realm="sandbox"`
	case AuthAPIKey:
		return `ApiKey realm="sandbox"`
	}
	return `Bearer realm="sandbox"`
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
