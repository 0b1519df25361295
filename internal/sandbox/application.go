package sandbox

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"switchgear/internal/telemetry"
)

const (
	defaultPace = 300 * time.Millisecond
	// maxUnderWay is how many calls of an application wait for their answer; beyond it a call is left out.
	maxUnderWay = 8
	callTimeout = 30 * time.Second
)

// Call is one call that an application makes.
type Call struct {
	Method string
	// Path is below the base URL, with its query.
	Path, Body string
	// IdempotencyKey is sent when it is not empty.
	IdempotencyKey string
}

// ApplicationConfig says what an application calls. All but Pace is required.
type ApplicationConfig struct {
	// BaseURL returns where the gateway is, without a slash at the end.
	BaseURL func() string
	// Key is shown as a bearer token.
	Key telemetry.Secret
	// Calls are made in their order, and then again.
	Calls []Call
	// Pace is the time from one call to the next. 0 = 300ms.
	Pace time.Duration
}

// Application is a pretend application: it calls a gateway at a steady pace and does not mind how the
// calls end. It is the other half of the pretend provider.
type Application struct {
	cfg    ApplicationConfig
	logger *slog.Logger
	client *http.Client
}

// NewApplication returns an application that makes no call yet.
func NewApplication(logger *slog.Logger, cfg ApplicationConfig) (*Application, error) {
	if logger == nil || cfg.BaseURL == nil || cfg.Key.IsZero() || len(cfg.Calls) == 0 {
		return nil, errors.New("sandbox: an application needs a logger, a base URL, a key and calls")
	}
	if cfg.Pace <= 0 {
		cfg.Pace = defaultPace
	}
	return &Application{cfg: cfg, logger: logger, client: &http.Client{
		Timeout:       callTimeout,
		Transport:     &http.Transport{MaxIdleConnsPerHost: maxUnderWay, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Run makes calls until ctx ends, and waits for those that are under way.
func (a *Application) Run(ctx context.Context) {
	defer a.client.CloseIdleConnections()
	var underWay sync.WaitGroup
	defer underWay.Wait()
	tick := time.NewTicker(a.cfg.Pace)
	defer tick.Stop()
	slots := make(chan struct{}, maxUnderWay)
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case slots <- struct{}{}:
		default:
			continue // Whoever is called is too slow for the pace.
		}
		c := a.cfg.Calls[i%len(a.cfg.Calls)]
		underWay.Go(func() {
			defer func() { <-slots }()
			a.call(ctx, c)
		})
	}
}

// call makes one call and reads its answer, whatever it is.
func (a *Application) call(ctx context.Context, c Call) {
	r, err := http.NewRequestWithContext(ctx, c.Method, a.cfg.BaseURL()+c.Path, strings.NewReader(c.Body))
	if err != nil {
		a.logger.WarnContext(ctx, "the call of the pretend application is not possible", "path", c.Path, "error", err)
		return
	}
	r.Header.Set("Authorization", "Bearer "+a.cfg.Key.Reveal())
	r.Header.Set("User-Agent", "switchgear-demonstration")
	if c.Body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.IdempotencyKey != "" {
		r.Header.Set("Idempotency-Key", c.IdempotencyKey)
	}
	resp, err := a.client.Do(r)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	if err != nil {
		a.logger.DebugContext(ctx, "a call of the pretend application broke off", "path", c.Path, "error", err)
	}
}
