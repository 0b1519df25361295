package audit

import (
	"context"
	"fmt"
	"time"

	"switchgear/internal/fault"
)

const (
	defaultLimit = 50
	maxLimit     = 500
	maxPage      = 1_000_000
)

// Query selects entries; empty fields select everything.
type Query struct {
	Text   string // part of any name, id, action, reason or detail
	Action string // exact
	Actor  string // exact id, or part of the name
	Target string // exact id, or part of the name
	From   time.Time
	To     time.Time // exclusive
	Page   int       // from 1
	Limit  int       // 50 when zero, 500 at most
}

// Page is one page of a search and the number of entries that match in all.
type Page struct {
	Entries []Entry
	Total   int
}

// Search returns the entries that match, newest first.
func (l *Log) Search(ctx context.Context, q Query) (Page, error) {
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	q.Limit = min(q.Limit, maxLimit)
	q.Page = min(max(q.Page, 1), maxPage)
	page, err := l.store.search(ctx, q)
	if err != nil {
		return Page{}, fmt.Errorf("audit: search: %w", err)
	}
	return page, nil
}

// Actions returns every action that occurs, in alphabetical order.
func (l *Log) Actions(ctx context.Context) ([]string, error) {
	actions, err := l.store.actions(ctx)
	if err != nil {
		return nil, fmt.Errorf("audit: list actions: %w", err)
	}
	return actions, nil
}

// Entry returns one entry, or fault.NotFound.
func (l *Log) Entry(ctx context.Context, seq int64) (Entry, error) {
	var found []Entry
	err := l.store.each(ctx, seq-1, 1, func(r row) {
		if r.seq == seq {
			found = append(found, r.entry())
		}
	})
	if err != nil {
		return Entry{}, fmt.Errorf("audit: find entry: %w", err)
	}
	if len(found) == 0 {
		return Entry{}, fault.New(fault.NotFound, "", "There is no such audit entry.")
	}
	return found[0], nil
}
