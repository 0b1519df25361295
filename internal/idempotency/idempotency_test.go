package idempotency

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

const canary = "canary-request-4711"

type world struct {
	*Service

	db  *db.DB
	now time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{db: dbtest.New(t), now: time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)}
	var err error
	w.Service, err = New(Deps{DB: w.db, Logger: telemetry.Discard(), Now: func() time.Time { return w.now }, MAC: func(message []byte) []byte {
		h := hmac.New(sha256.New, []byte("key"))
		h.Write(message)
		return h.Sum(nil)
	}}, Config{})
	must(t, err)
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func request(content string) Request {
	return Request{Scope: "key_1", Key: "k", Content: []byte(content)}
}

// begin takes the key, which must be free.
func (w *world) begin(t *testing.T, r Request) Ticket {
	t.Helper()
	ticket, answer, err := w.Begin(t.Context(), r)
	must(t, err)
	if answer != nil {
		t.Fatalf("there is an answer already: %+v", answer)
	}
	return ticket
}

func (w *world) wantCode(t *testing.T, r Request, kind fault.Kind, code string) {
	t.Helper()
	_, answer, err := w.Begin(t.Context(), r)
	if answer != nil || !fault.Is(err, kind) || fault.CodeOf(err) != code {
		t.Errorf("%+v, %v; want %s", answer, err, code)
	}
}

func (w *world) wantAnswer(t *testing.T, want Answer) {
	t.Helper()
	_, got, err := w.Begin(t.Context(), request(canary))
	must(t, err)
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnswerIsRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ticket := w.begin(t, request(canary))
	w.wantCode(t, request(canary), fault.Conflict, "IDEMPOTENCY_KEY_RUNNING")
	w.wantCode(t, request("other"), fault.Unprocessable, "IDEMPOTENCY_KEY_REUSED") // also while it runs
	answer := Answer{Status: 201, Header: map[string]string{"Location": "/x"}, Body: []byte(`{"id":1}`)}
	must(t, w.Finish(t.Context(), ticket, answer))
	w.wantAnswer(t, answer)
	w.wantCode(t, request("other"), fault.Unprocessable, "IDEMPOTENCY_KEY_REUSED")
	other := request(canary)
	other.Scope = "key_2"
	w.begin(t, other)

	w.now = w.now.Add(24*time.Hour - time.Second)
	w.wantAnswer(t, answer)
	w.now = w.now.Add(time.Second)
	w.begin(t, request("other")) // forgotten: the key may name something else
}

func TestReleasedKeyIsFree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	must(t, w.Release(t.Context(), w.begin(t, request(canary))))
	w.begin(t, request("corrected"))
}

// The process that held the key is gone, or so it seems: it is slow, and finishes after all.
func TestLeaseEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slow := w.begin(t, request(canary))
	w.now = w.now.Add(2*time.Minute - time.Second)
	w.wantCode(t, request(canary), fault.Conflict, "IDEMPOTENCY_KEY_RUNNING")
	w.now = w.now.Add(time.Second)
	w.wantCode(t, request("other"), fault.Unprocessable, "IDEMPOTENCY_KEY_REUSED")
	second := w.begin(t, request(canary))
	must(t, w.Finish(t.Context(), slow, Answer{Status: 500}))
	must(t, w.Release(t.Context(), slow))
	w.wantCode(t, request(canary), fault.Conflict, "IDEMPOTENCY_KEY_RUNNING")
	answer := Answer{Status: 201, Header: map[string]string{}, Body: []byte("second")}
	must(t, w.Finish(t.Context(), second, answer))
	w.wantAnswer(t, answer)
}

func TestKeepsNoRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begin(t, request(canary))
	var stored string
	must(t, w.db.QueryRow(t.Context(), `SELECT scope || key || fingerprint || owner || header || body FROM idempotency_keys`).Scan(&stored))
	if strings.Contains(stored, canary) || strings.Contains(stored, fmt.Sprintf("%x", sha256.Sum256([]byte(canary)))) {
		t.Errorf("stored: %s", stored)
	}
}

// An answer may hold what is told once, such as a link that connects an account: it is in the database sealed only,
// and for its own key.
func TestAnswersAreSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answer := Answer{Status: 201, Header: map[string]string{}, Body: []byte(`{"url":"https://console.example.com/connect/` + canary + `"}`)}
	must(t, w.Finish(t.Context(), w.begin(t, request(canary)), answer))
	var stored string
	must(t, w.db.QueryRow(t.Context(), `SELECT body FROM idempotency_keys`).Scan(&stored))
	if strings.Contains(stored, canary) || strings.Contains(stored, base64.StdEncoding.EncodeToString([]byte(canary))[:12]) || !strings.HasPrefix(stored, sealedForm) {
		t.Errorf("stored: %s", stored)
	}
	w.wantAnswer(t, answer)

	// Moved to another key, or damaged, it does not open, and nothing is done again either.
	other := request(canary)
	other.Key = "other"
	must(t, w.Finish(t.Context(), w.begin(t, other), Answer{Status: 201, Body: []byte("theirs")}))
	exec := func(query string) {
		must(t, w.db.InTx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), query)
			return err
		}))
	}
	exec(`UPDATE idempotency_keys SET body = (SELECT body FROM idempotency_keys WHERE key = 'k') WHERE key = 'other'`)
	if _, got, err := w.Begin(t.Context(), other); err == nil || got != nil && strings.Contains(string(got.Body), canary) {
		t.Errorf("%+v, %v", got, err)
	}
	// What the release before kept is still repeated.
	exec(`UPDATE idempotency_keys SET body = '{"id":1}' WHERE key = 'k'`)
	w.wantAnswer(t, Answer{Status: 201, Header: map[string]string{}, Body: []byte(`{"id":1}`)})
}

func TestPrune(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begin(t, request(canary))
	must(t, w.store.prune(t.Context(), w.now.Add(24*time.Hour-time.Microsecond)))
	count := func() (n int) {
		must(t, w.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM idempotency_keys`).Scan(&n))
		return n
	}
	if count() != 1 {
		t.Error("forgotten too early")
	}
	must(t, w.store.prune(t.Context(), w.now.Add(24*time.Hour)))
	if count() != 0 {
		t.Error("not forgotten")
	}
}

func TestDepsAreRequired(t *testing.T) {
	t.Parallel()
	if _, err := New(Deps{DB: nil, MAC: nil, Logger: nil, Now: nil}, Config{}); err == nil {
		t.Error("no dependency is missed")
	}
}
