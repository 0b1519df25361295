package alerts

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"switchgear/db"
	"switchgear/internal/alerts/channels"
	"switchgear/internal/runtime/egress"
)

// SenderDeps are what a Sender works with; all are required.
type SenderDeps struct {
	DB     *db.DB
	Sealer Sealer
	// Guard judges every address that is dialled.
	Guard *egress.Guard
	// Notify is called after a change, with the name of what changed. It must not block.
	Notify func(topic string)
	Logger *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// SenderConfig tunes a Sender. A zero field stands for the value in its comment.
type SenderConfig struct {
	Timeout     time.Duration // 15s: how long one attempt may take
	Lease       time.Duration // 60s: how long an attempt is believed to be under way
	Parallel    int           // 4: attempts under way at once, one a channel
	MaxAttempts int           // 10
	Idle        time.Duration // 30s: how often the table is looked at when nothing is known to be due
	// RootCAs replaces the system's certificate authorities. nil = the system's.
	RootCAs *x509.CertPool
}

func (c SenderConfig) withDefaults() SenderConfig {
	c.Timeout = cmp.Or(c.Timeout, 15*time.Second)
	c.Lease = cmp.Or(c.Lease, time.Minute)
	c.Parallel = cmp.Or(c.Parallel, 4)
	c.MaxAttempts = cmp.Or(c.MaxAttempts, 10)
	c.Idle = cmp.Or(c.Idle, 30*time.Second)
	return c
}

// mailPorts are those at which mail servers take messages over an encrypted connection.
func mailPorts() []uint16 { return []uint16{465, 587} }

// Sender is an [Outbox] in the database: rows are claimed with a lease and a token, attempts are counted when
// they begin, and an attempt that ends after its lease went to another changes nothing.
type Sender struct {
	deps  SenderDeps
	cfg   SenderConfig
	store store
	wire  channels.Wire
	// boot names this process: what another one was about to send when it ended is due at once.
	boot string
	wake chan struct{}

	mu    sync.Mutex
	busy  map[string]bool // ids of channels with an attempt under way
	sent  map[Sent]int64
	ended chan struct{} // tells Serve that an attempt ended
}

// Sent is what notifications are counted by.
type Sent struct{ ChannelKind, Result string }

// The results that are counted, beside the states of a notification.
const (
	resultRetry  = "retry"  // an attempt failed, and another one follows
	resultZombie = "zombie" // an attempt ended after its lease was lost
)

// NewSender returns a Sender. Run Serve, and hand it to [New].
func NewSender(d SenderDeps, cfg SenderConfig) (*Sender, error) {
	if d.DB == nil || d.Sealer == nil || d.Guard == nil || d.Notify == nil || d.Logger == nil || d.Now == nil {
		return nil, errors.New("alerts: every dependency of the sender is required")
	}
	cfg = cfg.withDefaults()
	client := d.Guard.NewClient(egress.TransportConfig{RootCAs: cfg.RootCAs, MaxIdleConnsPerHost: 2})
	mail := d.Guard.WithPorts(mailPorts()...)
	return &Sender{
		deps: d, cfg: cfg, store: store{d.DB}, boot: db.NewID("boot"), wake: make(chan struct{}, 1), ended: make(chan struct{}, 1),
		busy: map[string]bool{}, sent: map[Sent]int64{},
		wire: channels.Wire{Client: client, Dial: mail.Dial, Now: d.Now, RootCAs: cfg.RootCAs},
	}, nil
}

// Enqueue implements Outbox.
func (s *Sender) Enqueue(ctx context.Context, tx *db.Tx, all ...Notification) error {
	for _, n := range all {
		if err := s.store.insertNotification(ctx, tx, n); err != nil {
			return err
		}
	}
	return nil
}

// Committed implements Outbox.
func (s *Sender) Committed() { signal(s.wake) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // a signal waits already
	}
}

// Counts is how many notifications ended in each way since the start.
func (s *Sender) Counts() map[Sent]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.sent)
}

func (s *Sender) count(kind, result string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent[Sent{kind, result}]++
}

// Serve sends what is due until ctx ends, and waits for the attempts under way. It is a supervised worker.
func (s *Sender) Serve(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	if err := s.store.takeOver(ctx, s.boot, s.deps.Now()); err != nil {
		return fmt.Errorf("alerts: take over what another process was sending: %w", err)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-s.wake:
		case <-s.ended:
		}
		next, err := s.pass(ctx, &running)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.deps.Logger.LogAttrs(ctx, slog.LevelError, "notifications are not sent yet", slog.Any("error", err))
			next = s.cfg.Idle
		}
		timer.Reset(next)
	}
}

// pass starts attempts for what is due, as far as there is room, and returns when to look again.
func (s *Sender) pass(ctx context.Context, running *sync.WaitGroup) (time.Duration, error) {
	now := s.deps.Now()
	if err := s.store.bury(ctx, now, s.cfg.MaxAttempts); err != nil {
		return 0, err
	}
	for {
		claimed, ok, err := s.claim(ctx)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		running.Go(func() {
			defer signal(s.ended)
			defer s.release(claimed.ChannelID)
			// An attempt that began is brought to its end, so that what arrived is not sent again.
			if err := s.attempt(context.WithoutCancel(ctx), claimed); err != nil {
				s.deps.Logger.LogAttrs(ctx, slog.LevelError, "the outcome of a notification is not stored", slog.String("notification", claimed.ID), slog.Any("error", err))
			}
		})
	}
	due, ok, err := s.store.nextDue(ctx)
	if err != nil || !ok {
		return s.cfg.Idle, err
	}
	// What is due but waits for its channel is looked at when the attempt under way ends.
	return min(max(due.Sub(s.deps.Now()), time.Second), s.cfg.Idle), nil
}

// claim takes the next notification whose channel is idle.
func (s *Sender) claim(ctx context.Context) (claimed, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.busy) >= s.cfg.Parallel {
		return claimed{}, false, nil
	}
	c, ok, err := s.store.claim(ctx, s.lease(), s.cfg.MaxAttempts, func(channelID string) bool { return !s.busy[channelID] })
	if ok {
		s.busy[c.ChannelID] = true
	}
	return c, ok, err
}

func (s *Sender) release(channelID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, channelID)
}

func (s *Sender) lease() lease {
	now := s.deps.Now()
	return lease{token: db.NewID("lea"), boot: s.boot, now: now, until: now.Add(s.cfg.Lease)}
}

// Deliver implements Outbox. It is for a person who waits, so it tries once.
func (s *Sender) Deliver(ctx context.Context, id string) (Notification, error) {
	c, ok, err := s.store.claimOne(ctx, s.lease(), id)
	if err != nil {
		return Notification{}, fmt.Errorf("alerts: send %s: %w", id, err)
	}
	if ok {
		// Whoever asked may be gone before the answer; what was sent is noted all the same.
		if err := s.attempt(context.WithoutCancel(ctx), c); err != nil {
			return Notification{}, fmt.Errorf("alerts: send %s: %w", id, err)
		}
	}
	n, found, err := s.store.notification(ctx, id)
	if err != nil || !found {
		return n, fmt.Errorf("alerts: read %s: %w", id, cmp.Or(err, noAlert()))
	}
	return n, nil
}

// attempt sends what is claimed and stores what became of it.
func (s *Sender) attempt(ctx context.Context, c claimed) error {
	channel, ok, err := s.store.channel(ctx, c.ChannelID)
	if err != nil {
		return err
	}
	switch {
	case !ok:
		return s.finish(ctx, c, outcome{state: NotificationSuppressed, reason: "The channel was deleted."})
	case !channel.Enabled && c.Event != channels.EventTest:
		return s.finish(ctx, c, outcome{state: NotificationSuppressed, reason: "The channel is disabled."})
	}
	failure := s.send(ctx, c, channel)
	if failure == nil {
		return s.finish(ctx, c, outcome{state: NotificationDelivered})
	}
	out := outcome{state: NotificationDead, failure: failure.Text}
	if failure.Gone {
		out.disable = "Switched off because the receiver answered that it is gone (410)."
	}
	if !failure.Permanent && c.Event != channels.EventTest && c.Attempts < s.cfg.MaxAttempts {
		out.state, out.runAt = NotificationPending, s.deps.Now().Add(max(backoff(c.Attempts), failure.RetryAfter))
	}
	return s.finish(ctx, c, out)
}

func (s *Sender) send(ctx context.Context, c claimed, channel Channel) *channels.SendError {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	kind, err := channels.Lookup(channel.Kind)
	if err != nil {
		return &channels.SendError{Text: "This release does not know the kind of the channel.", Permanent: true}
	}
	opened, err := unseal(s.deps.Sealer, channel)
	if err != nil {
		return &channels.SendError{Text: "The secrets of the channel do not open. Enter them again."}
	}
	target := channels.Target{Values: opened.Values}
	if target.Values == nil {
		target.Values = map[string]string{}
	}
	maps.Copy(target.Values, channel.Settings)
	if s.deps.Now().Before(channel.PreviousUntil) {
		target.Previous = opened.Previous
	}
	err = kind.Send(ctx, s.wire, target, c.Message)
	if err == nil {
		return nil
	}
	if failure, ok := errors.AsType[*channels.SendError](err); ok {
		return failure
	}
	return &channels.SendError{Text: "The message was not sent."}
}

// finish stores the outcome, unless the lease was lost in the meantime.
func (s *Sender) finish(ctx context.Context, c claimed, o outcome) error {
	o.at = s.deps.Now()
	held, err := s.store.finish(ctx, c, o)
	if err != nil {
		return err
	}
	result := string(o.state)
	level := slog.LevelInfo
	switch {
	case !held:
		result, level = resultZombie, slog.LevelWarn
	case o.state == NotificationPending:
		result, level = resultRetry, slog.LevelWarn
	case o.state == NotificationDead:
		level = slog.LevelError
	}
	s.count(c.ChannelKind, result)
	s.deps.Logger.LogAttrs(ctx, level, "alert notification", slog.String("notification", c.ID), slog.String("alert", c.AlertID), slog.String("event", string(c.Event)),
		slog.String("channel", c.ChannelID), slog.String("channel_kind", c.ChannelKind), slog.String("result", result), slog.Int("attempt", c.Attempts), slog.String("failure", o.failure))
	s.deps.Notify(Topic)
	return nil
}
