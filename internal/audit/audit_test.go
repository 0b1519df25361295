package audit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/dbtest"
	"switchgear/internal/telemetry"
)

func testMAC(message []byte) []byte {
	h := hmac.New(sha256.New, []byte("test key"))
	h.Write(message)
	return h.Sum(nil)
}

// start is the first moment of the test clock; every reading is one second later.
func start() time.Time { return time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC) }

func newLog(t *testing.T) (*Log, *db.DB) {
	t.Helper()
	d := dbtest.New(t)
	now := start()
	l, err := New(Deps{DB: d, MAC: testMAC, Now: func() time.Time {
		now = now.Add(time.Second)
		return now
	}})
	if err != nil {
		t.Fatal(err)
	}
	return l, d
}

func record(t *testing.T, l *Log, d *db.DB, entries ...Entry) {
	t.Helper()
	err := d.InTx(t.Context(), func(tx *db.Tx) error {
		for _, e := range entries {
			if err := l.Record(t.Context(), tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func invite(email string) Entry {
	return Entry{
		Actor: Actor{"user", "usr_1", "ada@example.com"}, Action: "user.invite",
		Target: Target{"invitation", "inv_" + email, email}, Details: map[string]string{"role": "viewer"}, IP: "192.0.2.7",
	}
}

func TestRecordFillsIn(t *testing.T) {
	t.Parallel()
	l, d := newLog(t)
	ctx := telemetry.WithRequestID(t.Context(), "req_7")
	err := d.InTx(ctx, func(tx *db.Tx) error { return l.Record(ctx, tx, invite("bob@example.com")) })
	if err != nil {
		t.Fatal(err)
	}
	page, err := l.Search(t.Context(), Query{})
	if err != nil {
		t.Fatal(err)
	}
	want := invite("bob@example.com")
	want.Seq, want.At, want.RequestID = 1, start().Add(time.Second), "req_7"
	want.MAC = page.Entries[0].MAC
	if diff := cmp.Diff(Page{Entries: []Entry{want}, Total: 1}, page); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	head, err := l.Head(t.Context())
	if err != nil || head != (Anchor{Seq: 1, MAC: want.MAC}) || len(head.MAC) != 64 {
		t.Errorf("head %+v, %v", head, err)
	}
}

// The entry and the change are one: a change that fails leaves no entry.
func TestRecordIsPartOfTheTransaction(t *testing.T) {
	t.Parallel()
	l, d := newLog(t)
	boom := errors.New("boom")
	err := d.InTx(t.Context(), func(tx *db.Tx) error {
		if err := l.Record(t.Context(), tx, invite("bob@example.com")); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if head, err := l.Head(t.Context()); err != nil || head.Seq != 0 {
		t.Errorf("head %+v, %v", head, err)
	}
}

func TestRecordRefusesAnonymousNothing(t *testing.T) {
	t.Parallel()
	l, d := newLog(t)
	for _, e := range []Entry{{Action: "x.y"}, {Actor: Actor{Kind: "user"}}} {
		if err := d.InTx(t.Context(), func(tx *db.Tx) error { return l.Record(t.Context(), tx, e) }); err == nil {
			t.Errorf("%+v was recorded", e)
		}
	}
}

func TestRecordCleansText(t *testing.T) {
	t.Parallel()
	l, d := newLog(t)
	e := invite("bob@example.com")
	e.Reason = "line\nbreak \xff" + strings.Repeat("é", 2*maxReason)
	record(t, l, d, e)
	page, err := l.Search(t.Context(), Query{})
	if err != nil {
		t.Fatal(err)
	}
	got := page.Entries[0].Reason
	if !strings.HasPrefix(got, "line break \uFFFDé") || !strings.HasSuffix(got, "…") || len([]rune(got)) != maxReason {
		t.Errorf("reason %q", got)
	}
	if r, err := l.Verify(t.Context()); err != nil || len(r.Problems) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	l, d := newLog(t)
	for i := range 25 {
		record(t, l, d, invite(fmt.Sprintf("user%02d@example.com", i)))
	}
	record(t, l, d,
		Entry{Actor: Actor{"cli", "root", "root"}, Action: "key.create", Target: Target{"api_key", "k1", "100% Billing_App"}, Reason: "Quarter close"},
		Entry{Actor: Actor{"user", "usr_2", "Grace@example.com"}, Action: "key.revoke", Target: Target{"api_key", "k1", "100% Billing_App"}},
	)
	seqs := func(p Page) []int64 {
		if len(p.Entries) == 0 {
			return nil
		}
		out := make([]int64, len(p.Entries))
		for i, e := range p.Entries {
			out[i] = e.Seq
		}
		return out
	}
	for _, tc := range []struct {
		name  string
		query Query
		total int
		want  []int64
	}{
		{"newest first", Query{Limit: 3}, 27, []int64{27, 26, 25}},
		{"second page", Query{Limit: 3, Page: 2}, 27, []int64{24, 23, 22}},
		{"past the end", Query{Limit: 10, Page: 9}, 27, nil},
		{"text in any case", Query{Text: "QUARTER"}, 1, []int64{26}},
		{"percent is literal", Query{Text: "100%"}, 2, []int64{27, 26}},
		{"percent matches nothing else", Query{Text: "%@%"}, 0, nil},
		{"underscore is literal", Query{Text: "g_a"}, 2, []int64{27, 26}},
		{"underscore matches nothing else", Query{Text: "user_1@"}, 0, nil},
		{"backslash", Query{Text: `\`}, 0, nil},
		{"quote", Query{Text: `' OR 1=1 --`}, 0, nil},
		{"action", Query{Action: "key.create"}, 1, []int64{26}},
		{"actor by id", Query{Actor: "usr_2"}, 1, []int64{27}},
		{"actor by name", Query{Actor: "grace"}, 1, []int64{27}},
		{"target by id", Query{Target: "k1"}, 2, []int64{27, 26}},
		{"target by name", Query{Target: "user07"}, 1, []int64{8}},
		{"from", Query{From: start().Add(27 * time.Second)}, 1, []int64{27}},
		{"to is exclusive", Query{To: start().Add(3 * time.Second)}, 2, []int64{2, 1}},
		{"all together", Query{Text: "billing", Action: "key.revoke", Actor: "grace", Target: "k1", From: start()}, 1, []int64{27}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			page, err := l.Search(t.Context(), tc.query)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, seqs(page)); diff != "" || page.Total != tc.total {
				t.Errorf("total %d, want %d; -want +got\n%s", page.Total, tc.total, diff)
			}
		})
	}
}

// Upper and lower case are the same beyond ASCII, too.
func TestSearchFoldsCase(t *testing.T) {
	t.Parallel()
	l, d := newLog(t)
	record(t, l, d, Entry{
		Actor: Actor{"cli", "zoë", "ZOË"}, Action: "key.create", Target: Target{"api_key", "k1", "Überweisungen ÄÖ"},
		Reason: "Straße ΑΘΗΝΑ", Details: map[string]string{"who": "Ægir"},
	})
	for _, q := range []Query{
		{Text: "überWEISUNGEN äö"}, {Text: "αθηνα"}, {Text: "STRAßE"}, {Text: "ægir"}, {Actor: "zoë"}, {Actor: "Zoë"}, {Target: "ÜBER"},
	} {
		if page, err := l.Search(t.Context(), q); err != nil || page.Total != 1 {
			t.Errorf("%+v: %d, %v", q, page.Total, err)
		}
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	l, d := newLog(t)
	if actions, err := l.Actions(t.Context()); err != nil || len(actions) != 0 {
		t.Errorf("%v, %v", actions, err)
	}
	a := Actor{Kind: "cli", ID: "root", Name: "root"}
	record(t, l, d, invite("a@example.com"), Entry{Actor: a, Action: "key.revoke"}, Entry{Actor: a, Action: "key.create"}, invite("b@example.com"))
	actions, err := l.Actions(t.Context())
	if diff := cmp.Diff([]string{"key.create", "key.revoke", "user.invite"}, actions); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	for _, deps := range []Deps{{}, {DB: d, MAC: testMAC}, {DB: d, Now: time.Now}, {MAC: testMAC, Now: time.Now}} {
		if _, err := New(deps); err == nil {
			t.Errorf("%+v was accepted", deps)
		}
	}
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Verify(ctx); err == nil {
		t.Error("a canceled verification has an outcome")
	}
}
