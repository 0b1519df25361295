package breakers

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/runtime/breaker"
)

// HistoryQuery selects changes of breakers; zero fields select all.
type HistoryQuery struct {
	Connection string // slug
	Operation  string // id
	Cause      string
	From, To   time.Time // To is exclusive
	Cursor     string    // History.Next of the page before
	Page       int       // instead of a cursor: from 1, with the number of all that match
	Oldest     bool      // begin with the oldest
	Limit      int       // 50 when zero, 200 at most

	connectionID string
	after        position
}

// Change is one change of a breaker.
type Change struct {
	ConnectionID string
	Connection   string // its slug; empty when it is gone
	// Version was the active one when the change was stored; 0 when it is not known.
	Version int
	// Event has everything that was told, without the durable state.
	Event breaker.Event
}

// History is one page of changes. Next is empty on the last page, Total 0 unless a page
// was asked for by its number.
type History struct {
	Changes []Change
	Next    string
	Total   int
}

// position is where a page ended; it stays valid when newer changes are added.
type position struct {
	at, seq int64
	id      string
}

func (p position) cursor() string {
	return strconv.FormatInt(p.at, 36) + "." + strconv.FormatInt(p.seq, 36) + "." + p.id
}

func parseCursor(text string) (position, error) {
	if text == "" {
		return position{}, nil
	}
	parts := strings.SplitN(text, ".", 3)
	if len(parts) == 3 && parts[2] != "" && len(parts[2]) <= 64 {
		at, err := strconv.ParseInt(parts[0], 36, 64)
		if err == nil {
			seq, err := strconv.ParseInt(parts[1], 36, 64)
			if err == nil {
				return position{at, seq, parts[2]}, nil
			}
		}
	}
	return position{}, fault.Field("INVALID_CURSOR", "cursor", "This is not a cursor of ours. Start from the first page.")
}

// Causes lists what may make a breaker change.
func Causes() []string {
	return []string{
		string(breaker.CauseAuto), string(breaker.CauseManual), string(breaker.CauseHold), string(breaker.CauseReset), string(breaker.CauseConfig),
		string(breaker.CauseWatchdog), string(breaker.CauseLeaseExpired), string(breaker.CauseDrill), string(breaker.CauseRestore),
	}
}

// History returns the changes that match, the newest first. It needs system:read. A change appears a moment
// after it happened.
func (s *Service) History(ctx context.Context, a access.Actor, q HistoryQuery) (History, error) {
	if err := s.prepare(a, &q); err != nil {
		return History{}, err
	}
	h, err := s.store.history(ctx, q)
	if err != nil {
		return History{}, fmt.Errorf("breakers: history: %w", err)
	}
	known, err := s.known()
	if err != nil {
		return History{}, err
	}
	for i := range h.Changes {
		if c := known[h.Changes[i].ConnectionID]; c != nil {
			h.Changes[i].Connection = c.Slug
		}
	}
	return h, nil
}

// prepare checks a query and completes it.
func (s *Service) prepare(a access.Actor, q *HistoryQuery) error {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return err
	}
	if q.Connection != "" {
		c, err := s.find(a, q.Connection)
		if err != nil {
			return err
		}
		q.connectionID = c.ID
	}
	if q.Cause != "" && !slices.Contains(Causes(), q.Cause) {
		return fault.Field("UNKNOWN_CAUSE", "cause", "There is no such cause of a change.").WithSuggestion("Use one of " + strings.Join(Causes(), ", ") + ".")
	}
	if !q.From.IsZero() && !q.To.IsZero() && q.To.Before(q.From) {
		return fault.Field("INVALID_RANGE", "to", "The end lies before the beginning.")
	}
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	q.Limit, q.Page = min(q.Limit, maxLimit), min(q.Page, maxPage)
	var err error
	q.after, err = parseCursor(q.Cursor)
	return err
}

// maxExport bounds the lines of an export.
const maxExport = 50_000

// Export writes the changes that match as CSV (RFC 4180), the newest first, at most 50,000 of them. It needs
// system:read. Texts that a spreadsheet would take for a formula begin with an apostrophe.
func (s *Service) Export(ctx context.Context, a access.Actor, q HistoryQuery, w io.Writer) error {
	q.Page, q.Limit = 0, maxLimit
	out := csv.NewWriter(w)
	for written := 0; ; {
		h, err := s.History(ctx, a, q)
		if err != nil {
			return err
		}
		if written == 0 {
			_ = out.Write([]string{ // an error stays until Flush
				"at", "connection", "connection_id", "operation", "from", "to", "mode", "cause", "actor", "reason", "successes", "failures",
				"slow", "rejected", "last_outcome", "requests", "until", "override_until", "version", "epoch", "number",
			})
		}
		for i := range h.Changes {
			_ = out.Write(h.Changes[i].line())
		}
		written += max(1, len(h.Changes))
		if out.Flush(); out.Error() != nil {
			return fmt.Errorf("breakers: write the export: %w", out.Error())
		}
		if h.Next == "" || written >= maxExport {
			return nil
		}
		q.Cursor = h.Next
	}
}

func (c *Change) line() []string {
	e := &c.Event
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339Nano)
	}
	line := []string{
		stamp(e.At), c.Connection, c.ConnectionID, e.Key.Operation, string(e.From), string(e.To), string(e.Mode), string(e.Cause), e.Actor, e.Reason,
		strconv.Itoa(e.Counts.Successes), strconv.Itoa(e.Counts.Failures), strconv.Itoa(e.Counts.Slow), strconv.Itoa(e.Counts.Rejected),
		e.LastOutcome, strings.Join(e.Samples, " "), stamp(e.Until), stamp(e.LeaseUntil),
		strconv.Itoa(c.Version), strconv.FormatUint(e.Epoch, 10), strconv.FormatUint(e.Seq, 10),
	}
	for i, cell := range line {
		line[i] = harmless(cell)
	}
	return line
}

// harmless keeps a spreadsheet from computing a cell.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
