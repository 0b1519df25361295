package ratelimit

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// asked is one request of a made-up past. Each has a nanosecond of its own, so that no two things happen at
// once and the order of events is the same for everybody.
type asked struct {
	at     time.Duration // since the beginning
	key    Key
	wait   time.Duration
	refund time.Duration // after it could go; 0 keeps it
}

// fate is what became of a request.
type fate struct {
	N       int
	At      time.Duration
	Refused Cause
}

func madeUp(rng *rand.Rand) (Config, []asked) {
	cfg := Config{MaxWaiting: 1 + rng.IntN(20)}
	for _, per := range []time.Duration{100 * time.Millisecond, time.Second}[rng.IntN(2):] {
		cfg.Limits = append(cfg.Limits, Limit{Requests: 1 + rng.IntN(20), Per: per})
	}
	if rng.IntN(2) == 0 {
		cfg.Groups = map[string][]Limit{"reads": {{Requests: 1 + rng.IntN(5), Per: 200 * time.Millisecond}}}
	}
	keys := []Key{{}, {Group: "reads"}, {Credential: "default"}, {Group: "reads", Credential: "acme"}}
	waits := []time.Duration{0, 30 * time.Millisecond, 250 * time.Millisecond, 2 * time.Second}
	list := make([]asked, 0, 300)
	at := time.Duration(0)
	for i := range 300 {
		at += time.Duration(rng.IntN(30)) * time.Millisecond
		a := asked{at: at + time.Duration(i+1), key: keys[rng.IntN(len(keys))], wait: waits[rng.IntN(len(waits))]}
		if rng.IntN(6) == 0 {
			a.refund = time.Duration(1+rng.IntN(40)) * time.Millisecond
		}
		list = append(list, a)
	}
	return cfg, list
}

// live sends the requests through a limiter as callers do.
func live(t *testing.T, cfg Config, list []asked) []fate {
	t.Helper()
	var (
		mu  sync.Mutex
		out []fate
	)
	synctest.Test(t, func(t *testing.T) {
		l, err := New(cfg)
		if err != nil {
			t.Error(err)
			return
		}
		began := time.Now()
		var all sync.WaitGroup
		for i, a := range list {
			all.Go(func() {
				time.Sleep(a.at)
				g, err := l.Reserve(context.Background(), a.key, a.wait)
				f := fate{N: i, At: time.Since(began)}
				if rejected, ok := errors.AsType[*RejectedError](err); ok {
					f.Refused = rejected.Cause
				} else if err != nil {
					t.Error(err)
				}
				mu.Lock()
				out = append(out, f)
				mu.Unlock()
				if err == nil && a.refund > 0 {
					time.Sleep(a.refund)
					g.Refund()
				}
			})
		}
		all.Wait()
	})
	slices.SortFunc(out, func(a, b fate) int { return a.N - b.N })
	return out
}

// replayed takes them through a replay.
func replayed(t *testing.T, cfg Config, list []asked) []fate {
	t.Helper()
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r, err := NewReplay[int](cfg, began)
	if err != nil {
		t.Fatal(err)
	}
	type refund struct {
		at    time.Time
		grant Grant
	}
	var (
		out     []fate
		refunds []refund
	)
	note := func(turn Turn[int]) {
		f := fate{N: turn.Of, At: turn.At.Sub(began)}
		if turn.Rejected != nil {
			f.Refused = turn.Rejected.Cause
		} else if after := list[turn.Of].refund; after > 0 {
			refunds = append(refunds, refund{turn.At.Add(after), turn.Grant})
			slices.SortFunc(refunds, func(a, b refund) int { return a.at.Compare(b.at) })
		}
		out = append(out, f)
	}
	until := func(to time.Time) {
		for {
			next := r.Next()
			if len(refunds) > 0 && (next.IsZero() || refunds[0].at.Before(next)) && !refunds[0].at.After(to) {
				r.Refund(refunds[0].at, &refunds[0].grant)
				refunds = refunds[1:]
				continue
			}
			if next.IsZero() || next.After(to) {
				return
			}
			for _, turn := range r.Advance(next) {
				note(turn)
			}
		}
	}
	for i, a := range list {
		at := began.Add(a.at)
		until(at)
		if turn, done := r.Ask(at, a.key, a.wait, i); done {
			note(turn)
		}
	}
	until(began.Add(time.Hour))
	slices.SortFunc(out, func(a, b fate) int { return a.N - b.N })
	return out
}

// What a replay says is what the limiter does: the same requests go at the same times, the same are refused
// for the same cause.
func TestReplayAgreesWithTheLimiter(t *testing.T) {
	t.Parallel()
	waited, refused := 0, 0
	for seed := range uint64(40) {
		cfg, list := madeUp(rand.New(rand.NewPCG(seed, 7)))
		want, got := live(t, cfg, list), replayed(t, cfg, list)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%d: live and replay differ under %+v (-live +replay)\n%s", seed, cfg, diff)
		}
		for i, f := range got {
			if f.Refused != "" {
				refused++
			} else if f.At > list[i].at {
				waited++
			}
		}
	}
	if waited < 500 || refused < 500 {
		t.Errorf("%d requests waited and %d were refused: the past is too quiet to show anything", waited, refused)
	}
}
