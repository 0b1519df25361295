package app

import (
	"context"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"
)

// chrome is the one browser process of this test binary. Every tab belongs to a profile of its own.
type chrome struct {
	ctx context.Context
	// slots bound how many journeys run at once: each keeps a renderer and a console busy.
	slots chan struct{}
}

// journey is one way through the console, with tabs in the shared browser.
type journey struct {
	*testing.T

	chrome *chrome
}

// TestBrowser is the console as people use it, in a real browser. Each journey has a console process and
// browser profiles of its own. On every page of every journey the browser may report nothing: no
// violation of the content security policy, no exception, no console error, no failed request.
func TestBrowser(t *testing.T) {
	t.Parallel()
	c := startChrome(t)
	for _, way := range []struct {
		name   string
		travel func(j *journey)
	}{
		// The longest first, so that none of them runs alone at the end.
		{"axe gallery", axeGalleryJourney},
		{"axe pages", axePagesJourney},
		{"axe gallery pages", axeGalleryPagesJourney},
		{"connections", connectionsJourney},
		{"many connections", manyConnectionsJourney},
		{"connect", connectJourney},
		{"rotate", rotateJourney},
		{"credentials", credentialsJourney},
		{"reveal", revealJourney},
		{"sessions", sessionsJourney},
		{"hostile text", hostileTextJourney},
		{"without scripts", scriptlessJourney},
		{"try it", tryJourney},
		{"checklist", checklistJourney},
		{"live tail", tailJourney},
		{"breaker", breakerJourney},
		{"alerts", alertsJourney},
		{"health", healthJourney},
		{"what if", whatIfJourney},
		{"overview", overviewJourney},
		{"invite", inviteJourney},
		{"set up", setUpJourney},
		{"sign in", signInJourney},
		{"live", liveJourney},
		{"change role", changeRoleJourney},
		{"API key", keyJourney},
		{"demonstration", demonstrationJourney},
		{"theme", themeJourney},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			c.slots <- struct{}{}
			defer func() { <-c.slots }()
			way.travel(&journey{T: t, chrome: c})
		})
	}
}

func startChrome(t *testing.T) *chrome {
	t.Helper()
	// The profile is a new folder, which goes when the browser has ended.
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromiumPath(t)),
		chromedp.WindowSize(desktop, windowHeight),
		// The browser opens pages of this test only. Its sandbox needs rights that containers, and root, lack.
		chromedp.NoSandbox,
		// Where everything is built and tested at once, it takes its time to begin.
		chromedp.WSURLReadTimeout(patience),
		chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
	)
	allocator, closeBrowser := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(closeBrowser)
	ctx, closeFirst := chromedp.NewContext(allocator)
	t.Cleanup(closeFirst)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return &chrome{ctx: ctx, slots: make(chan struct{}, 2)}
}

// chromiumPath finds the browser. Without one the test fails: a journey that did not run proves nothing.
func chromiumPath(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no chromium or google-chrome in PATH: install the package chromium (make setup does)")
	return ""
}
