// Package console is HTTP for people: the server-rendered admin console.
//
// One file per feature holds its handlers; router.go lists every URL and the middleware chain on one
// screen. Invariants:
//
//   - Every route declares who may use it (see guard); a route without a guard does not compile into the
//     table, and the golden route list makes each change visible.
//   - Handlers return their error; fail.go alone turns it into a page, a fragment or JSON.
//   - No handler touches SQL: features own their store. Permission is checked by the feature, inside the
//     transaction of the change; the guard is the first of two fences.
//   - Every page works without JavaScript; no state changes on GET.
package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/alerts"
	"switchgear/internal/audit"
	"switchgear/internal/breakers"
	"switchgear/internal/calls"
	"switchgear/internal/checklist"
	"switchgear/internal/connect"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/health"
	"switchgear/internal/live"
	"switchgear/internal/providers"
	"switchgear/internal/rotation"
	"switchgear/web/static"
	aboutview "switchgear/web/templates/about"
)

// Deps are what the console works with; all are required.
type Deps struct {
	Access *access.Service
	Audit  *audit.Log
	Live   *live.Hub
	// Connections, Providers and Calls are what people define, choose from and look at.
	Connections *connections.Service
	Providers   *providers.Catalog
	Calls       *calls.Log
	// Connect has people connect accounts.
	Connect *connect.Service
	// Breakers and Protections are what guards calls.
	Breakers    *breakers.Service
	Protections protections
	// Checklist judges how ready connections are.
	Checklist *checklist.Service
	// WhatIf tells what other settings would have done.
	WhatIf replays
	// Health says how connections are.
	Health *health.Service
	// Alerts tell people what stands still.
	Alerts *alerts.Service
	// Rotation rotates the keys that everything secret is encrypted with.
	Rotation *rotation.Service
	// Demo starts and ends the demonstration.
	Demo Demonstration
	// Proxy sends what people send by hand, through the pipeline of the gateway.
	Proxy  proxy
	Assets *static.Assets
	Logger *slog.Logger
	Now    func() time.Time
	// About describes the process; the console adds the frame of the page.
	About func(ctx context.Context) (aboutview.View, error)
	// SetupDone is called once the first owner exists.
	SetupDone func()
}

// Config tunes the console.
type Config struct {
	// Origin is the public origin (https://console.example.com) that requests may come from although a
	// proxy rewrote Host. Empty means that only the request's own host counts.
	Origin string
	// Secure is true when browsers reach the console over TLS.
	Secure bool
	// Dev adds the component gallery.
	Dev bool
	// Version is shown in the frame.
	Version string
	// KeyFile and Fingerprint name the master key on the set-up page.
	KeyFile, Fingerprint string
	// LinkFile is where the set-up link can be read on the server.
	LinkFile string
	// GatewayURL is how an application reaches the gateway, in the form of BaseURL.
	GatewayURL func() string
	// BaseURL is how a browser reaches the console: scheme and authority, no trailing slash. It starts
	// the links that are sent to people.
	BaseURL func() string
}

// Console serves the pages.
type Console struct {
	Deps
	cfg  Config
	csrf *http.CrossOriginProtection
	once onceTokens
	// shared is what is drawn once for many visitors.
	shared sharedParts
}

// New returns the console's handler.
func New(deps Deps, cfg Config) (http.Handler, error) {
	c, err := newConsole(deps, cfg)
	if err != nil {
		return nil, err
	}
	return c.router(), nil
}

func newConsole(deps Deps, cfg Config) (*Console, error) {
	for name, missing := range map[string]bool{
		"Access": deps.Access == nil, "Audit": deps.Audit == nil, "Live": deps.Live == nil, "Connections": deps.Connections == nil, "Providers": deps.Providers == nil, "Calls": deps.Calls == nil, "Checklist": deps.Checklist == nil, "Demo": deps.Demo == nil,
		"Proxy": deps.Proxy == nil, "Breakers": deps.Breakers == nil, "Protections": deps.Protections == nil, "Health": deps.Health == nil, "Connect": deps.Connect == nil, "Alerts": deps.Alerts == nil,
		"Assets": deps.Assets == nil, "Rotation": deps.Rotation == nil, "WhatIf": deps.WhatIf == nil,
		"Logger": deps.Logger == nil, "Now": deps.Now == nil, "About": deps.About == nil, "SetupDone": deps.SetupDone == nil,
	} {
		if missing {
			return nil, fault.Newf(fault.Internal, "console: Deps.%s is missing", name)
		}
	}
	c := &Console{Deps: deps, cfg: cfg, csrf: http.NewCrossOriginProtection()}
	if cfg.Origin != "" {
		if err := c.csrf.AddTrustedOrigin(cfg.Origin); err != nil {
			return nil, errors.Join(fault.Newf(fault.Invalid, "console: public URL %q", cfg.Origin), err)
		}
	}
	return c, nil
}
