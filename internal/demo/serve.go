package demo

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"switchgear/internal/sandbox"
)

// retryInterval is how long Serve waits before it tries again to resume a demonstration.
const retryInterval = 30 * time.Second

// site is a provider that listens and the application that calls it.
type site struct {
	listener    net.Listener
	provider    *sandbox.Sandbox
	application *sandbox.Application
	server      *http.Server
	// quit ends it, ended is closed once it has.
	quit, ended chan struct{}
	quitOnce    sync.Once
}

// stop ends the site; it may be called more than once.
func (t *site) stop() { t.quitOnce.Do(func() { close(t.quit) }) }

func newSite(l net.Listener, provider *sandbox.Sandbox, application *sandbox.Application, logger *slog.Logger) *site {
	return &site{
		listener: l, provider: provider, application: application, quit: make(chan struct{}), ended: make(chan struct{}),
		server: &http.Server{
			Handler: provider, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
			ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		},
	}
}

// run serves and calls until ctx ends or somebody quits, and waits for both.
func (t *site) run(ctx context.Context, logger *slog.Logger) {
	defer close(t.ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var work sync.WaitGroup
	work.Go(func() {
		defer cancel()
		if err := t.server.Serve(t.listener); !errors.Is(err, http.ErrServerClosed) {
			logger.ErrorContext(ctx, "the pretend provider ended", "error", err)
		}
	})
	work.Go(func() { t.application.Run(ctx) })
	select {
	case <-ctx.Done():
	case <-t.quit:
	}
	cancel()
	t.close(ctx, logger)
	work.Wait()
}

// close breaks off what the provider still answers: nobody waits for it.
func (t *site) close(ctx context.Context, logger *slog.Logger) {
	t.provider.Close()
	if err := errors.Join(t.server.Close(), ignoreClosed(t.listener.Close())); err != nil {
		logger.DebugContext(ctx, "the pretend provider did not close cleanly", "error", err)
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Serve runs the demonstration while it is on, until ctx ends. One that was on when the process stopped
// is resumed. Run it under a supervisor.
func (s *Service) Serve(ctx context.Context) error {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-retry.C:
			if err := s.resume(ctx); err != nil {
				s.deps.Logger.ErrorContext(ctx, "the demonstration is not resumed yet", "error", err)
				retry.Reset(retryInterval)
			}
		case next := <-s.open:
			next.run(ctx, s.deps.Logger)
			s.ended(next)
			retry.Reset(retryInterval) // In case that it ended by itself.
		}
	}
}

// ended forgets a site that ran.
func (s *Service) ended(t *site) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == t {
		s.current = nil
		s.deps.Admit(netip.AddrPort{})
	}
}

// end quits the site that runs and waits until it is over.
func (s *Service) end(ctx context.Context) error {
	s.mu.Lock()
	current := s.current
	s.mu.Unlock()
	if current == nil {
		return nil
	}
	current.stop()
	select {
	case <-current.ended:
		s.ended(current)
		return nil
	case waiting := <-s.open: // Serve may be waiting for whoever ends it here.
		return s.discard(waiting)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close releases a provider that was opened but never served. Call it when Serve has ended.
func (s *Service) Close() error {
	select {
	case t := <-s.open:
		return s.discard(t)
	default:
		return nil
	}
}

// discard closes a site that was opened and never ran.
func (s *Service) discard(t *site) error {
	t.provider.Close()
	s.ended(t)
	return t.listener.Close()
}

// resume continues what the row says: the demonstration, or the end of one that was cut off.
func (s *Service) resume(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return nil // The process stops; the next one resumes.
	}
	defer s.unlock()
	r, exists, err := s.store.find(ctx)
	s.mu.Lock()
	running := s.current != nil
	s.mu.Unlock()
	if err != nil || !exists || running {
		return err
	}
	if r.State != stateOn {
		return s.undo(ctx, r)
	}
	secrets, err := s.unseal(r)
	if err != nil {
		return err
	}
	l, err := s.listen(ctx, r.Port)
	if err != nil { // Somebody else has the port by now.
		if l, err = s.listen(ctx, 0); err != nil {
			return err
		}
	}
	s.deps.Admit(addressOf(l))
	if port := portOf(l); port != r.Port {
		err = s.renew(ctx, &r, port, secrets)
	}
	if err == nil {
		err = s.begin(l, secrets)
	}
	if err != nil {
		s.deps.Admit(netip.AddrPort{})
		return errors.Join(err, l.Close())
	}
	return nil
}
