package audit

import (
	"context"
	"crypto/hmac"
	"encoding/hex"
	"fmt"
	"math"
)

// maxProblems bounds a Report: a rewritten record has as many problems as rows.
const maxProblems = 100

// verifyBatch is how many rows Verify holds at a time. Batches, because one long read would keep
// SQLite from shortening its log.
const verifyBatch = 1000

// Anchor is the newest entry at some moment. Kept outside of this machine, it shows later whether the
// record was cut or rewritten since.
type Anchor struct {
	Seq int64
	MAC string
}

// Problem is one place where the record does not hold. Seq 0 means the record as a whole.
type Problem struct {
	Seq  int64
	What string
}

// Report is the outcome of a verification. The record holds when there are no problems. After 100
// problems the rest is only counted, in the last of them.
type Report struct {
	Entries  int64
	LastSeq  int64
	LastMAC  string
	Problems []Problem
}

// Head returns the newest entry as an anchor; the zero Anchor when there is none.
func (l *Log) Head(ctx context.Context) (Anchor, error) {
	head, err := l.store.head(ctx, l.store.db)
	if err != nil {
		return Anchor{}, fmt.Errorf("audit: read the head: %w", err)
	}
	return head, nil
}

// Verify recomputes the chain and names every row that was edited or moved and every row that is
// missing before the newest. It reads in batches and never holds the whole record.
func (l *Log) Verify(ctx context.Context) (Report, error) { return l.VerifyAgainst(ctx, Anchor{}) }

// VerifyAgainst does what Verify does and also checks that the record still contains the anchor, which
// shows that the newest rows were cut off or that the whole chain was rewritten. The zero Anchor
// checks nothing more.
func (l *Log) VerifyAgainst(ctx context.Context, anchor Anchor) (Report, error) {
	v := verifier{log: l, anchor: anchor, previous: make([]byte, macSize), trusted: true}
	after := int64(math.MinInt64)
	for {
		n, before := 0, after
		err := l.store.each(ctx, after, verifyBatch, func(r row) {
			n++
			after = max(after, r.seq)
			v.check(r)
		})
		if err != nil {
			return Report{}, fmt.Errorf("audit: verify: %w", err)
		}
		if n < verifyBatch || after == before {
			break
		}
	}
	foreign, err := l.store.foreign(ctx, after, v.report.Entries)
	if err != nil {
		return Report{}, fmt.Errorf("audit: verify: %w", err)
	}
	return v.finish(foreign), nil
}

// verifier walks the rows in order.
type verifier struct {
	log        *Log
	anchor     Anchor
	report     Report
	previous   []byte // the MAC stored in the row before
	trusted    bool   // previous is known to be the right one
	seenAnchor bool
	more       int64 // problems beyond maxProblems
}

func (v *verifier) check(r row) {
	v.report.Entries++
	if r.seq < 1 {
		v.problem(r.seq, "the row has a number that is never given out: it was inserted")
		return
	}
	switch {
	case r.seq <= v.report.LastSeq:
		v.problem(r.seq, "the number is given out twice: a row was inserted")
		return
	case r.seq == v.report.LastSeq+2:
		v.problem(v.report.LastSeq+1, "the row is missing: it was deleted")
		v.trusted = false
	case r.seq > v.report.LastSeq+1:
		v.problem(v.report.LastSeq+1, fmt.Sprintf("rows %d to %d are missing: they were deleted", v.report.LastSeq+1, r.seq-1))
		v.trusted = false
	}
	stored, err := decodeMAC(r.mac)
	switch {
	case err != nil || r.mac == "":
		v.problem(r.seq, "the row's MAC is not readable: it was edited")
		stored, v.trusted = make([]byte, macSize), false
	case hmac.Equal(stored, v.log.sum(v.previous, r)):
		v.trusted = true
		switch {
		case r.odd:
			v.problem(r.seq, "the row holds a value of a wrong type: it was edited")
		case !r.folded():
			v.problem(r.seq, "the row's search text does not follow from the row: it was edited")
		}
	case v.trusted:
		v.problem(r.seq, "the row does not match its MAC: it was edited or moved")
		v.trusted = false
	case r.seq == v.report.LastSeq+1:
		v.problem(r.seq, "the row cannot be confirmed: it or the row before was edited or moved")
	default:
		// The row before is missing, which is already reported; from here on the chain counts again.
		v.trusted = true
	}
	if v.anchor.Seq != 0 && r.seq == v.anchor.Seq {
		v.seenAnchor = true
		if r.mac != v.anchor.MAC {
			v.problem(r.seq, "the row is not the one that the anchor was taken from: the record was rewritten")
		}
	}
	v.previous = stored
	v.report.LastSeq, v.report.LastMAC = r.seq, hex.EncodeToString(stored)
}

// finish adds what concerns the record as a whole. foreign is how many rows could not be visited.
func (v *verifier) finish(foreign int64) Report {
	switch {
	case foreign == 1:
		v.problem(0, "1 row does not belong to the chain: it was inserted")
	case foreign > 1:
		v.problem(0, fmt.Sprintf("%d rows do not belong to the chain: they were inserted", foreign))
	}
	if v.anchor.Seq != 0 && !v.seenAnchor {
		what := fmt.Sprintf("the record ends at row %d, but row %d existed when the anchor was taken: the newest rows were cut off",
			v.report.LastSeq, v.anchor.Seq)
		if v.report.LastSeq > v.anchor.Seq {
			what = "the row that the anchor was taken from is missing: it was deleted"
		}
		v.problem(v.anchor.Seq, what)
	}
	if v.more > 0 {
		v.report.Problems = append(v.report.Problems, Problem{Seq: 0, What: fmt.Sprintf("%d more problems are not listed", v.more)})
	}
	return v.report
}

func (v *verifier) problem(seq int64, what string) {
	if len(v.report.Problems) >= maxProblems {
		v.more++
		return
	}
	v.report.Problems = append(v.report.Problems, Problem{Seq: seq, What: what})
}
