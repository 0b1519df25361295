package calls

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"switchgear/db"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
)

// statement is a WHERE clause in the making. Every value is a parameter.
type statement struct {
	parts []string
	args  []any
}

func (s *statement) param(v any) string {
	s.args = append(s.args, v)
	return "$" + strconv.Itoa(len(s.args))
}

func (s *statement) and(condition string) { s.parts = append(s.parts, condition) }

func (s *statement) where() string {
	if len(s.parts) == 0 {
		return ""
	}
	return ` WHERE ` + strings.Join(s.parts, ` AND `)
}

// newest is the query for the newest rows of what the clause selects, with its arguments.
func (s *statement) newest(columns string, limit int) (string, []any) {
	args := append(slices.Clone(s.args), limit)
	return `SELECT ` + columns + ` FROM calls` + s.where() + ` ORDER BY at DESC, id DESC LIMIT $` + strconv.Itoa(len(args)), args
}

// search returns one page and where the next one begins. It never counts, and walks along one index, newest
// first: as far as the page is long when the index answers the whole question, and past most entries at most
// when each has to be looked at.
func (s store) search(ctx context.Context, q Query, most int) (Page, error) {
	var end position
	wanted := path(q)
	if filters(q, wanted) {
		var err error
		if end, err = s.end(ctx, path(q), most); err != nil {
			return Page{}, err
		}
		if end.id != "" {
			wanted.and(`(at, id) >= (` + wanted.param(end.at) + `, ` + wanted.param(end.id) + `)`)
		}
	}
	var page Page
	query, args := wanted.newest(columns, q.Limit+1)
	err := s.each(ctx, func(r runtime.Record) { page.Calls = append(page.Calls, r) }, query, args...)
	switch {
	case err != nil:
		return Page{}, err
	case len(page.Calls) > q.Limit:
		page.Calls = page.Calls[:q.Limit]
		page.Next = positionOf(page.Calls[q.Limit-1]).cursor()
	case end.id != "":
		page.Next, page.SearchedTo = end.cursor(), db.Time(end.at)
	}
	return page, nil
}

// path is what one index answers: one equality at most, and the range of time. Every other filter is in
// filters.
func path(q Query) *statement {
	s := &statement{}
	switch {
	case q.RequestID != "":
		s.and(`id = ` + s.param(q.RequestID))
	case q.Connection != "":
		s.and(`slug = ` + s.param(q.Connection))
	case unlikeMost(q.Outcome):
		s.and(`outcome = ` + s.param(q.Outcome) + ` AND outcome <> 'success'`)
	case q.Status >= firstError || q.Class*100 >= firstError:
		s.and(`status >= 400`)
	}
	if !q.From.IsZero() {
		s.and(`at >= ` + s.param(db.Micros(q.From)))
	}
	if !q.To.IsZero() {
		s.and(`at < ` + s.param(db.Micros(q.To)))
	}
	if q.after.id != "" {
		s.and(`(at, id) < (` + s.param(q.after.at) + `, ` + s.param(q.after.id) + `)`)
	}
	return s
}

// unlikeMost reports whether the calls of an outcome are in an index of their own. Those that succeed, and those of
// several outcomes, are found along the time.
func unlikeMost(outcome string) bool {
	return outcome != "" && outcome != string(runtime.OutcomeSuccess) && outcome != AnyFailure
}

// firstError is the first status in the index of what was refused or failed.
const firstError = 400

// filters adds what is left of a query and reports whether that is anything. The columns are in expressions,
// so that no index of theirs is taken instead of the one that the walk goes along.
func filters(q Query, s *statement) bool {
	n := len(s.parts)
	if q.Outcome == AnyFailure {
		others := make([]string, 0, len(notFailed()))
		for _, o := range notFailed() {
			others = append(others, s.param(string(o)))
		}
		s.and(`outcome || '' NOT IN (` + strings.Join(others, ", ") + `)`)
	} else if q.Outcome != "" && (q.Connection != "" || q.RequestID != "" || !unlikeMost(q.Outcome)) {
		s.and(`outcome || '' = ` + s.param(q.Outcome))
	}
	if q.Connection != "" && q.RequestID != "" {
		s.and(`slug || '' = ` + s.param(q.Connection))
	}
	if q.Method != "" {
		s.and(`method = ` + s.param(strings.ToUpper(q.Method)))
	}
	if q.Status > 0 {
		s.and(`status + 0 = ` + s.param(q.Status))
	}
	if q.Class > 0 {
		s.and(`status + 0 BETWEEN ` + s.param(q.Class*100) + ` AND ` + s.param(q.Class*100+99))
	}
	if q.Path != "" {
		s.and(`path LIKE ` + s.param("%"+db.Like(q.Path)+"%") + ` ESCAPE '\'`)
	}
	return len(s.parts) > n
}

// end is the last entry that a walk may look at; it is empty when the walk ends before.
func (s store) end(ctx context.Context, walk *statement, most int) (position, error) {
	var p position
	query, args := walk.newest(`at, id`, 1)
	args = append(args, most-1)
	err := s.db.QueryRow(ctx, query+` OFFSET $`+strconv.Itoa(len(args)), args...).Scan(&p.at, &p.id)
	if fault.Is(err, fault.NotFound) {
		return position{}, nil
	}
	return p, err
}
