package calls

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/dbtest"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

func TestProof(t *testing.T) {
	t.Parallel()
	const (
		ok      = runtime.OutcomeSuccess
		timeout = runtime.OutcomeTimeout
	)
	type step struct {
		version int
		outcome runtime.Outcome
		times   int
		after   time.Duration // since the step before
	}
	for name, tt := range map[string]struct {
		steps []step
		want  []int
	}{
		"too few":                        {[]step{{1, ok, 19, 0}}, nil},
		"enough":                         {[]step{{1, ok, 20, 0}}, []int{1}},
		"once":                           {[]step{{1, ok, 90, 0}}, []int{1}},
		"over days":                      {[]step{{1, ok, 10, 0}, {1, ok, 10, 48 * time.Hour}}, []int{1}},
		"a failure starts anew":          {[]step{{1, ok, 19, 0}, {1, timeout, 1, 0}, {1, ok, 19, time.Hour}}, nil},
		"a failure counts for a while":   {[]step{{1, timeout, 1, 0}, {1, ok, 50, time.Minute}}, nil},
		"and not for ever":               {[]step{{1, timeout, 1, 0}, {1, ok, 20, Window}}, []int{1}},
		"a credential that is refused":   {[]step{{1, ok, 19, 0}, {1, runtime.OutcomeUnauthenticated, 1, 0}, {1, ok, 1, 0}}, nil},
		"what says nothing":              {[]step{{1, ok, 19, 0}, {1, runtime.OutcomeClientError, 9, 0}, {1, runtime.OutcomeThrottled, 9, 0}, {1, ok, 1, 0}}, []int{1}},
		"only what says nothing":         {[]step{{1, runtime.OutcomeClientError, 99, 0}}, nil},
		"each version for itself":        {[]step{{1, ok, 19, 0}, {2, ok, 19, 0}}, nil},
		"a bad one before a good one":    {[]step{{1, timeout, 9, 0}, {2, ok, 20, 0}}, []int{2}},
		"one after the other":            {[]step{{1, ok, 20, 0}, {2, ok, 20, 0}}, []int{1, 2}},
		"late calls of the one before":   {[]step{{2, ok, 19, 0}, {1, timeout, 3, 0}, {1, ok, 9, 0}, {2, ok, 1, 0}}, []int{2}},
		"a good one that turns out bad":  {[]step{{1, ok, 20, 0}, {1, timeout, 20, 0}, {1, ok, 20, time.Hour}}, []int{1}},
		"late calls prove nothing anew":  {[]step{{2, ok, 1, 0}, {1, ok, 30, 0}}, nil},
		"not before the first is proven": {[]step{{3, ok, 20, 0}, {2, ok, 20, 0}}, []int{3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var (
				p   proof
				got []int
			)
			at := noon()
			for _, s := range tt.steps {
				at = at.Add(s.after)
				for range s.times {
					if p.add(runtime.Record{Version: s.version, Outcome: s.outcome}, at) {
						got = append(got, s.version)
					}
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// marks is a store of marks that fails at first.
type marks struct {
	mu      sync.Mutex
	broken  int
	batches int
	made    map[string]int
}

func (m *marks) MarkKnownGood(_ context.Context, versions map[string]int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken > 0 {
		m.broken--
		return errors.New("the disk is full")
	}
	m.batches++
	maps.Copy(m.made, versions)
	return nil
}

// The judge writes what was proven, tries again what could not be stored, and keeps no call waiting.
func TestJudgeWritesWhatIsProven(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	synctest.Test(t, func(t *testing.T) {
		m := &marks{broken: 3, made: map[string]int{}}
		j, err := NewJudge(JudgeDeps{Log: l, Marks: m, Logger: telemetry.Discard()})
		if err != nil {
			t.Fatal(err)
		}
		for n := range provenCalls {
			l.Record(record(n, nil))
			l.Record(record(n, func(r *runtime.Record) { r.ConnectionID, r.Version = "con_2", 7 }))
			l.Record(record(n, func(r *runtime.Record) { r.ConnectionID, r.Outcome = "con_3", runtime.OutcomeReset }))
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- j.Serve(ctx) }()
		time.Sleep(10 * judgeInterval) // in the bubble's time
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the worker ended with %v", err)
		}
		if diff := cmp.Diff(map[string]int{"con_1": 3, "con_2": 7}, m.made); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	if _, err := NewJudge(JudgeDeps{}); err == nil {
		t.Error("a judge without a log")
	}
}

// What was proven at about the same time is written together, so that many connections cost few changes.
func TestJudgeWritesTogether(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	m := &marks{made: map[string]int{}}
	j, err := NewJudge(JudgeDeps{Log: l, Marks: m, Logger: telemetry.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2*provenAtOnce + 1 {
		l.recent.proven.put("con_"+strconv.Itoa(n), 1)
	}
	j.write(t.Context())
	if len(m.made) != 2*provenAtOnce+1 || m.batches != 3 {
		t.Errorf("%d marks in %d batches", len(m.made), m.batches)
	}
}

// Any of those that were to be written together may be why it failed, so none is named.
func TestJudgeBlamesNoConnection(t *testing.T) {
	t.Parallel()
	l := open(t, dbtest.New(t), Config{})
	var logged bytes.Buffer
	j, err := NewJudge(JudgeDeps{Log: l, Marks: &marks{broken: 1}, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	if err != nil {
		t.Fatal(err)
	}
	l.recent.proven.put("con_1", 1)
	l.recent.proven.put("con_2", 1)
	j.write(t.Context())
	if got := logged.String(); strings.Contains(got, "con_") || !strings.Contains(got, "connections=2") {
		t.Error(got)
	}
}
