package audit

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
)

func TestVerifyNamesTampering(t *testing.T) {
	t.Parallel()
	const (
		edited      = "the row does not match its MAC: it was edited or moved"
		unconfirmed = "the row cannot be confirmed: it or the row before was edited or moved"
	)
	// Swapping rows goes through a free number, as whoever tampers would have to.
	swap := func(a, b int) []string {
		return []string{
			fmt.Sprintf("UPDATE audit_entries SET seq = 999 WHERE seq = %d", a),
			fmt.Sprintf("UPDATE audit_entries SET seq = %d WHERE seq = %d", a, b),
			fmt.Sprintf("UPDATE audit_entries SET seq = %d WHERE seq = 999", b),
		}
	}
	for _, tc := range []struct {
		name string
		sql  []string
		want []Problem
	}{
		{"untouched", nil, nil},
		{"actor edited", []string{`UPDATE audit_entries SET actor_name = 'eve@example.com' WHERE seq = 5`}, []Problem{{5, edited}}},
		{"time edited", []string{`UPDATE audit_entries SET at = at + 1 WHERE seq = 5`}, []Problem{{5, edited}}},
		{"details respelled", []string{`UPDATE audit_entries SET details = '{ "role":"viewer"}' WHERE seq = 5`}, []Problem{{5, edited}}},
		{"text moved between columns", []string{`UPDATE audit_entries SET action = action || target_kind, target_kind = '' WHERE seq = 5`}, []Problem{{5, edited}}},
		{"newest edited", []string{`UPDATE audit_entries SET reason = 'x' WHERE seq = 10`}, []Problem{{10, edited}}},
		{"two edited", []string{`UPDATE audit_entries SET ip = '' WHERE seq IN (3, 7)`}, []Problem{{3, edited}, {7, edited}}},
		{
			"MAC copied from the row before",
			[]string{`UPDATE audit_entries SET mac = (SELECT mac FROM audit_entries WHERE seq = 4) WHERE seq = 5`},
			[]Problem{{5, edited}, {6, unconfirmed}},
		},
		{
			"MAC removed",
			[]string{`UPDATE audit_entries SET mac = '' WHERE seq = 5`},
			[]Problem{{5, "the row's MAC is not readable: it was edited"}, {6, unconfirmed}},
		},
		{"deleted", []string{`DELETE FROM audit_entries WHERE seq = 5`}, []Problem{{5, "the row is missing: it was deleted"}}},
		{"first deleted", []string{`DELETE FROM audit_entries WHERE seq = 1`}, []Problem{{1, "the row is missing: it was deleted"}}},
		{
			"several deleted",
			[]string{`DELETE FROM audit_entries WHERE seq BETWEEN 3 AND 6`},
			[]Problem{{3, "rows 3 to 6 are missing: they were deleted"}},
		},
		{
			"deleted and the gap closed",
			[]string{
				`DELETE FROM audit_entries WHERE seq = 8`, `UPDATE audit_entries SET seq = 8 WHERE seq = 9`,
				`UPDATE audit_entries SET seq = 9 WHERE seq = 10`,
			},
			[]Problem{{8, edited}, {9, unconfirmed}},
		},
		{"reordered", swap(4, 5), []Problem{{4, edited}, {5, unconfirmed}, {6, unconfirmed}}},
		{
			"inserted before the first",
			append(loosen(), insertAs("0")),
			[]Problem{{0, "the row has a number that is never given out: it was inserted"}},
		},
		{"inserted without a number", append(loosen(), insertAs("NULL")), []Problem{{0, "1 row does not belong to the chain: it was inserted"}}},
		{
			"inserted with odd numbers",
			append(loosen(), insertAs("'zz'"), insertAs("5.5"), insertAs("x'35'"), insertAs("-9223372036854775808")),
			[]Problem{{0, "4 rows do not belong to the chain: they were inserted"}},
		},
		{"inserted with a number that exists", append(loosen(), insertAs("5")), []Problem{{5, "the number is given out twice: a row was inserted"}}},
		{"time of a wrong type", append(loosen(), `UPDATE audit_entries SET at = 'noon' WHERE seq = 5`), []Problem{{5, edited}}},
		{"text emptied", append(loosen(), `UPDATE audit_entries SET actor_name = NULL WHERE seq = 5`), []Problem{{5, edited}}},
		{
			"text as bytes",
			[]string{`UPDATE audit_entries SET reason = x'' WHERE seq = 5`},
			[]Problem{{5, "the row holds a value of a wrong type: it was edited"}},
		},
		{
			"hidden from searches",
			[]string{`UPDATE audit_entries SET search = '' WHERE seq = 5`},
			[]Problem{{5, "the row's search text does not follow from the row: it was edited"}},
		},
		{"cut off at the end, without an anchor", []string{`DELETE FROM audit_entries WHERE seq > 7`}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			l, d := newLog(t)
			for i := range 10 {
				record(t, l, d, invite(fmt.Sprintf("u%d@example.com", i)))
			}
			tamper(t, d, tc.sql...)
			report, err := l.Verify(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, report.Problems); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestVerifyAgainstAnchor(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		sql  []string
		want string
	}{
		{"untouched", nil, ""},
		{"cut off", []string{`DELETE FROM audit_entries WHERE seq > 7`}, "the newest rows were cut off"},
		{"all gone", []string{`DELETE FROM audit_entries`}, "the newest rows were cut off"},
		{"anchor row deleted", []string{`DELETE FROM audit_entries WHERE seq = 8`}, "deleted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			l, d := newLog(t)
			for i := range 8 {
				record(t, l, d, invite(fmt.Sprintf("u%d@example.com", i)))
			}
			anchor, err := l.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			record(t, l, d, invite("later@example.com"))
			tamper(t, d, tc.sql...)
			report, err := l.VerifyAgainst(t.Context(), anchor)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(report.Problems); (tc.want == "") != (len(report.Problems) == 0) || !strings.Contains(got, tc.want) {
				t.Errorf("problems %s", got)
			}
		})
	}
}

// Whoever cuts off the end and lets the product append to it again has a chain that holds, but not the
// one that the anchor was taken from.
func TestAnchorDetectsRewrittenEnd(t *testing.T) {
	t.Parallel()
	l, d := newLog(t)
	record(t, l, d, invite("a@example.com"), invite("b@example.com"))
	anchor, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tamper(t, d, `DELETE FROM audit_entries WHERE seq = 2`)
	record(t, l, d, invite("c@example.com"), invite("d@example.com"))
	if r, err := l.Verify(t.Context()); err != nil || len(r.Problems) != 0 || r.Entries != 3 {
		t.Fatalf("without the anchor: %+v, %v", r, err)
	}
	r, err := l.VerifyAgainst(t.Context(), anchor)
	want := []Problem{{2, "the row is not the one that the anchor was taken from: the record was rewritten"}}
	if diff := cmp.Diff(want, r.Problems); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestVerifyWithAnotherKey(t *testing.T) {
	t.Parallel()
	l, d := newLog(t)
	record(t, l, d, invite("a@example.com"))
	other, err := New(Deps{DB: d, MAC: func(m []byte) []byte { return testMAC(append([]byte("other"), m...)) }, Now: l.now})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := other.Verify(t.Context()); err != nil || len(r.Problems) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A long record is verified across batches, without holding it in memory, and a rewritten one does not
// produce an endless report.
func TestVerifyLongRecord(t *testing.T) {
	l, d := newLog(t)
	const n = 20_000
	entries := make([]Entry, n)
	for i := range entries {
		entries[i] = invite("someone@example.com")
		entries[i].Reason = strings.Repeat("x", 200)
	}
	record(t, l, d, entries...)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	report, err := l.Verify(t.Context())
	runtime.GC()
	runtime.ReadMemStats(&after)
	if err != nil || len(report.Problems) != 0 || report.Entries != n || report.LastSeq != n {
		t.Fatalf("%+v, %v", report, err)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	tamper(t, d, `UPDATE audit_entries SET ip = 'x' WHERE seq % 2 = 0`)
	report, err = l.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last := report.Problems[len(report.Problems)-1]
	if len(report.Problems) != maxProblems+1 || last != (Problem{0, fmt.Sprintf("%d more problems are not listed", n/2-maxProblems)}) {
		t.Errorf("%d problems, the last %+v", len(report.Problems), last)
	}
}

// loosen takes the table's constraints away, as whoever writes to the file can.
func loosen() []string {
	return []string{
		`CREATE TABLE loose AS SELECT * FROM audit_entries`,
		`DROP TABLE audit_entries`,
		`ALTER TABLE loose RENAME TO audit_entries`,
	}
}

// insertAs copies the first row under another number, which is an SQL expression.
func insertAs(seq string) string {
	return `INSERT INTO audit_entries SELECT ` + seq + strings.TrimPrefix(columns, "seq") + ` FROM audit_entries WHERE seq = 1`
}

// The schema itself refuses numbers that are none.
func TestSchemaRefusesOddNumbers(t *testing.T) {
	t.Parallel()
	l, d := newLog(t)
	record(t, l, d, invite("a@example.com"))
	for _, seq := range []string{"NULL", "'zz'", "5.5", "x'35'", "0", "-1", "1"} {
		err := d.InTx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), insertAs(seq))
			return err
		})
		if err == nil {
			t.Errorf("%s is accepted", seq)
		}
	}
}

// Rows from elsewhere neither stop the record from going on nor the pages that show it.
func TestOddRowsDoNotBreakTheRecord(t *testing.T) {
	t.Parallel()
	for _, statement := range []string{
		insertAs("NULL"), insertAs("'zz'"), insertAs("5.5"), insertAs("9223372036854775807"),
		`UPDATE audit_entries SET at = 'noon', actor_name = NULL, action = NULL, search = NULL, mac = NULL WHERE seq = 2`,
	} {
		t.Run(statement, func(t *testing.T) {
			t.Parallel()
			l, d := newLog(t)
			record(t, l, d, invite("a@example.com"), invite("b@example.com"))
			tamper(t, d, append(loosen(), statement)...)
			record(t, l, d, invite("c@example.com"))
			if head, err := l.Head(t.Context()); err != nil || head.Seq != 3 {
				t.Errorf("head %+v, %v", head, err)
			}
			page, err := l.Search(t.Context(), Query{})
			if err != nil || len(page.Entries) != page.Total || page.Total < 3 {
				t.Errorf("%+v, %v", page, err)
			}
			if _, err := l.Actions(t.Context()); err != nil {
				t.Error(err)
			}
			for seq := range int64(4) {
				if e, err := l.Entry(t.Context(), seq); (err == nil) != (seq > 0) || err == nil && e.Seq != seq {
					t.Errorf("entry %d: %+v, %v", seq, e, err)
				}
			}
			if r, err := l.Verify(t.Context()); err != nil || len(r.Problems) == 0 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

func tamper(t *testing.T, d *db.DB, statements ...string) {
	t.Helper()
	err := d.InTx(t.Context(), func(tx *db.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(t.Context(), s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
