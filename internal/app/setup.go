package app

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// announce tells the person who started the process what to do next: the set-up link while there is no
// owner, where the console is afterwards, or why it is sealed.
func (a *App) announce(ctx context.Context) error {
	if a.core.sealed != nil {
		_, err := fmt.Fprintf(a.notices, "\n  Switchgear is sealed: %s.\n\n", a.core.sealed.Reason)
		return err
	}
	needed, err := a.core.access.SetupNeeded(ctx)
	if err != nil {
		return err
	}
	if !needed {
		a.removeSetupLink()
		_, err := fmt.Fprintf(a.notices, "\n  Switchgear is running: %s\n\n", a.baseURL())
		return err
	}
	token, expires, err := a.core.access.IssueSetupToken(ctx)
	if err != nil {
		return err
	}
	link := a.baseURL() + "/setup?token=" + url.QueryEscape(token)
	a.stack.add("set-up link file", func(context.Context) error { a.removeSetupLink(); return nil })
	if err := os.WriteFile(a.setupLinkFile(), []byte(link+"\n"), 0o600); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.notices, `
  Open this link to create the first owner. It works once, until %s:

    %s

  A new link is printed at every start until there is an owner. It is also in %s.

`, expires.Local().Format(time.TimeOnly), link, a.setupLinkFile())
	if err == nil && a.keyFile() != "" {
		_, err = fmt.Fprintf(a.notices, `  The master key is %s (%s).
  Everything secret is encrypted under it. Keep a copy away from this machine.

`, a.keyFile(), a.core.keyring.Fingerprint())
	}
	return err
}

func (a *App) setupLinkFile() string { return absolute(filepath.Join(a.cfg.Data, "setup-link")) }

func (a *App) removeSetupLink() {
	// The token inside is dead by now, so a file that stays behind is untidy and no more.
	_ = os.Remove(a.setupLinkFile())
}

// baseURL is how a browser reaches the console: the public URL, or the listener's own address.
func (a *App) baseURL() string {
	if base := a.core.baseURL(); base != "" {
		return base
	}
	return urlOf(a.Addr())
}

// baseURL is that of the App, empty before it listens.
func (c *core) baseURL() string {
	if c.cfg.PublicURL != "" {
		return strings.TrimSuffix(c.cfg.PublicURL, "/")
	}
	if address := c.listeners.console.Load(); address != nil {
		return urlOf(*address)
	}
	return ""
}

// callURL is how an application reaches the gateway: on its own listener where it has one.
func (a *App) callURL() string {
	if address := a.GatewayAddr(); address != "" {
		return urlOf(address)
	}
	return a.baseURL()
}

func urlOf(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "http://" + address
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
