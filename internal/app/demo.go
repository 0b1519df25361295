package app

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/credentials"
	"switchgear/internal/demo"
	"switchgear/internal/telemetry"
)

// openDemo builds the demonstration; whether it is on says the database.
func (a *App) openDemo(ctx context.Context) error {
	if a.core.sealed != nil {
		return nil
	}
	sealer, err := a.core.keyring.Sealer(credentials.PurposeCredential)
	if err != nil {
		return err
	}
	a.demo, err = demo.New(ctx, demo.Deps{
		DB: a.core.db, Audit: a.core.audit, Sealer: sealer, Connections: a.core.connections, Keys: a.core.access,
		Admit: a.core.admitted.set, Gateway: a.gatewayURL, Notify: func(topic string) { a.hub.Publish(topic) }, Logger: a.logger, Now: time.Now,
	}, demo.Config{})
	if err != nil {
		return err
	}
	a.stack.addCloser("demonstration", a.demo.Close)
	return nil
}

// gatewayURL is how the gateway is reached from inside this process.
func (a *App) gatewayURL() string {
	address := a.GatewayAddr()
	if address == "" {
		address = a.Addr()
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "http://" + address
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.To4() == nil {
			host = "::1"
		}
	}
	return "http://" + net.JoinHostPort(host, port)
}

// LoadDemo loads the demonstration, if it is not on already, and says so in the notices. Call it before
// [App.Run]; calls begin with it.
func (a *App) LoadDemo(ctx context.Context) error {
	if a.core.sealed != nil {
		return &credentials.SealedError{Sealed: *a.core.sealed}
	}
	if !a.demo.On() {
		actor := access.CommandLine(loginName(strconv.Itoa(os.Getuid())))
		if err := a.demo.Load(telemetry.WithRequestID(ctx, telemetry.NewRequestID()), actor); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(a.notices, `
  The demonstration is on: three connections to a pretend provider in this process, and steady calls to
  them through the gateway. It can be removed on the overview. Its data is in %s.
`, absolute(a.cfg.Data))
	return err
}
