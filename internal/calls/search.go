package calls

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"switchgear/db"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
)

const (
	defaultLimit = 50
	maxLimit     = 200
	maxPage      = 1_000_000
)

// AnyFailure is the outcome in a [Query] that selects every call that counts as failed in [Traffic].
const AnyFailure = "failed"

// Query selects calls; zero fields select every call.
type Query struct {
	Connection string // slug
	Outcome    string // or AnyFailure
	Method     string
	Status     int    // exact
	Class      int    // 2 for 2xx, 5 for 5xx
	Path       string // part of the path
	RequestID  string
	From, To   time.Time // To is exclusive
	Cursor     string    // Page.Next of the page before; List does not use it
	Oldest     bool      // List begins with the oldest
	Limit      int       // 50 when zero, 200 at most

	after position
}

// Page is one page of calls, newest first. Next is empty on the last page.
type Page struct {
	Calls []runtime.Record
	Next  string
	// SearchedTo is set when the search ended before the page was full and before the log was: calls that
	// are older have not been looked at yet. Next goes on there.
	SearchedTo time.Time
}

// List is one page of calls by its number, and the number of all that match.
type List struct {
	Calls []runtime.Record
	Total int
}

// position is where a page ended; it stays valid when newer calls are added.
type position struct {
	at int64
	id string
}

func positionOf(r runtime.Record) position { return position{db.Micros(r.StartedAt), r.ID} }

func (p position) cursor() string { return strconv.FormatInt(p.at, 36) + "." + p.id }

func parseCursor(text string) (position, error) {
	if text == "" {
		return position{}, nil
	}
	at, id, ok := strings.Cut(text, ".")
	n, err := strconv.ParseInt(at, 36, 64)
	if !ok || err != nil || id == "" || len(id) > 64 {
		return position{}, fault.Field("INVALID_CURSOR", "cursor", "This is not a cursor of ours. Start from the first page.")
	}
	return position{n, id}, nil
}

// Search returns the calls that match, newest first, without their details. However large the log is, it
// reads a bounded part of it: for the filters that no index answers alone (status, method, path, or several
// at once) it looks at Config.Scan calls and says where it stopped.
func (l *Log) Search(ctx context.Context, q Query) (Page, error) {
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	q.Limit = min(q.Limit, maxLimit)
	var err error
	if q.after, err = parseCursor(q.Cursor); err != nil {
		return Page{}, err
	}
	page, err := l.store.search(ctx, q, l.cfg.Scan)
	if err != nil {
		return Page{}, fmt.Errorf("calls: search: %w", err)
	}
	return page, nil
}

// List returns a page, from 1, of the calls that match, without their details. It counts and skips, which
// takes longer the more there are; to read far, use Search.
func (l *Log) List(ctx context.Context, q Query, page int) (List, error) {
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	q.Limit, q.Cursor = min(q.Limit, maxLimit), ""
	list, err := l.store.list(ctx, q, (min(max(page, 1), maxPage)-1)*q.Limit)
	if err != nil {
		return List{}, fmt.Errorf("calls: list: %w", err)
	}
	return list, nil
}

// Find returns one call with its headers and timeline, or fault.NotFound. An entry appears a moment
// after the call has ended.
func (l *Log) Find(ctx context.Context, id string) (runtime.Record, error) {
	r, err := l.store.find(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return r, fault.New(fault.NotFound, "", "There is no such call in the log. It may be older than what is kept.")
	}
	if err != nil {
		return r, fmt.Errorf("calls: find: %w", err)
	}
	return r, nil
}
