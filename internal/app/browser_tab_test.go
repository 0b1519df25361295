package app

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Widths of a desk and of a phone, in CSS pixels.
const (
	desktop      = 1440
	phone        = 390
	windowHeight = 900
)

// watch reports what the content security policy stopped, through a binding that no page can miss.
const watch = `document.addEventListener("securitypolicyviolation", (e) =>
	cspViolation(e.violatedDirective + " stopped " + (e.blockedURI || "inline") + " " + e.sample + " in " + e.sourceFile + ":" + e.lineNumber))`

// tab is a tab of the browser with a profile of its own: no cookie is shared between two tabs.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu        sync.Mutex
	problems  []string
	expected  []int64 // the statuses of error pages that are expected next
	tolerated []int64 // statuses that are a part of this journey at any time
	offline   bool    // whether failing connections are expected
	signals   int     // events of the live stream
}

// tab opens an empty tab for the console p. At the end of the test it makes sure that the browser had
// nothing to complain about, and keeps a picture when the test has failed.
func (j *journey) tab(p *process) *tab {
	j.Helper()
	b := &tab{t: j.T, base: "http://" + p.Addr()}
	ctx, closeTab := chromedp.NewContext(j.chrome.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.listen))
	b.ctx = ctx
	j.Cleanup(func() {
		b.check()
		if j.Failed() {
			b.keepPicture()
		}
		closeTab()
	})
	// The first action binds the tab to its context, which therefore may have no deadline.
	if err := chromedp.Do(ctx); err != nil {
		j.Fatalf("open a tab: %v", err)
	}
	call(b, runtime.AddBinding.Method, runtime.AddBindingParams{Name: "cspViolation"})
	b.beforeScripts(watch)
	call(b, emulation.SetFocusEmulationEnabled.Method, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	b.size(desktop)
	return b
}

// signedIn opens a tab that holds the session of a signed-in browser.
func (j *journey) signedIn(p *process, from *browser) *tab {
	j.Helper()
	b := j.tab(p)
	base, err := url.Parse(from.base)
	if err != nil {
		j.Fatal(err)
	}
	for _, cookie := range from.client.Jar.Cookies(base) {
		call(b, network.SetCookie.Method, network.SetCookieParams{Name: cookie.Name, Value: cookie.Value, URL: from.base, HTTPOnly: new(true)})
	}
	return b
}

// beforeScripts runs a script in every page from here on, before those of the page.
func (b *tab) beforeScripts(source string) {
	b.t.Helper()
	call(b, cdppage.AddScriptToEvaluateOnNewDocument.Method, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: source})
}

// call sends a command of the DevTools protocol to the tab.
func call[P any](b *tab, method string, params P) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error { return target.Call(ctx, method, params, nil) }))
}

// listen hears everything that happens in the tab; it runs in the loop that reads the browser's messages.
func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	problem := func(format string, args ...any) { b.problems = append(b.problems, fmt.Sprintf(format, args...)) }
	switch e := event.(type) {
	case *runtime.EventBindingCalled:
		problem("content security policy: %s", e.Payload)
	case *runtime.EventExceptionThrown:
		problem("uncaught: %v", &chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails})
	case *runtime.EventConsoleAPICalled:
		if b.offline {
			return // htmx says there that its stream broke
		}
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert || e.Type == runtime.ConsoleAPICalledTypeWarning {
			problem("console.%s: %s", e.Type, arguments(e.Args))
		}
	case *log.EventEntryAdded:
		// What the network failed at is reported by its own events, with the status. What the renderer says
		// is that a date field shows nothing for a date that cannot be read.
		if e.Entry.Source != log.EntrySourceNetwork && e.Entry.Source != log.EntrySourceRendering && e.Entry.Level != log.EntryLevelVerbose && e.Entry.Level != log.EntryLevelInfo {
			problem("browser log: %s: %s (%s:%d)", e.Entry.Source, e.Entry.Text, e.Entry.URL, e.Entry.LineNumber)
		}
	case *network.EventEventSourceMessageReceived:
		b.signals++
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 && !slices.Contains(b.expected, e.Response.Status) && !slices.Contains(b.tolerated, e.Response.Status) {
			problem("%s answered %d", e.Response.URL, e.Response.Status)
		}
	case *network.EventLoadingFailed:
		// Leaving a page cuts its stream.
		if !e.Canceled && e.ErrorText != "net::ERR_ABORTED" && !b.offline {
			problem("a %s failed to load: %s %s", e.Type, e.ErrorText, e.BlockedReason)
		}
	}
}

func arguments(args []*runtime.RemoteObject) string {
	var texts []string
	for _, a := range args {
		if text := a.Description; text != "" {
			texts = append(texts, text)
		} else {
			texts = append(texts, string(a.Value))
		}
	}
	return strings.Join(texts, " ")
}

// check fails the test for what the browser complained about since the last check.
func (b *tab) check() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.t.Errorf("browser: %s", p)
	}
	b.problems = nil
}

// expect says which errors belong to what happens next.
func (b *tab) expect(statuses ...int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = statuses
}

// tolerate says which errors are part of the whole journey.
func (b *tab) tolerate(statuses ...int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tolerated = statuses
}

// expectOffline says whether the console may be away from here on.
func (b *tab) expectOffline(offline bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.offline = offline
}

// signalsHeard counts the events of the live stream that have arrived.
func (b *tab) signalsHeard() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.signals
}

// do runs actions within the bounds of patience.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.fatal("%v", err)
	}
}

func (b *tab) fatal(format string, args ...any) {
	b.t.Helper()
	b.check()
	b.t.Fatalf(format+" (at %s, showing: %s)", append(args, b.address(), shortened(b.pageText()))...)
}

// evaluate is the value of an expression in the page; it fails while the page is being replaced.
func evaluate[T any](b *tab, expression string) (value T, err error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience/3)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// eval is the value of an expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := evaluate[T](b, expression)
	if err != nil {
		b.fatal("%s: %v", expression, err)
	}
	return value
}

// wait polls until an expression is true in the page, whatever page that is by then.
func (b *tab) wait(what, expression string) {
	b.t.Helper()
	if !b.poll(func() bool {
		ok, err := evaluate[bool](b, "!!("+expression+")")
		return err == nil && ok
	}) {
		b.fatal("waited in vain for %s: %s", what, expression)
	}
}

func (b *tab) poll(done func() bool) bool { return poll(b.ctx, done) }

// open goes to an address of the console, which answers with 200.
func (b *tab) open(path string) { b.t.Helper(); b.openAs(path, 200) }

// openAs goes to an address of the console, which answers with the given status.
func (b *tab) openAs(path string, status int64) {
	b.t.Helper()
	target := path
	if strings.HasPrefix(path, "/") {
		target = b.base + path
	}
	b.navigate(path, chromedp.Navigate(target), status)
}

// navigate runs a step that leads to another page, and waits until that has loaded with one of the
// statuses.
func (b *tab) navigate(what string, step chromedp.Action[chromedp.Void], statuses ...int64) int64 {
	b.t.Helper()
	b.expect(statuses...)
	defer b.expect()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, step)
	if err != nil {
		b.fatal("%s: %v", what, err)
	}
	if response == nil { // a page that the browser had kept
		return 0
	}
	if !slices.Contains(statuses, response.Status) {
		b.fatal("%s: status %d, want %v", what, response.Status, statuses)
	}
	return response.Status
}

// locate is an expression for the first visible element that matches a selector and, unless text is
// empty, says just that. Hidden labels count: they are what an icon's button says.
func locate(selector, text string) string {
	return fmt.Sprintf(`(() => {
	const clean = (s) => (s || "").replace(/\s+/g, " ").trim(), text = %s;
	return Array.from(document.querySelectorAll(%s)).find((e) => e.checkVisibility({visibilityProperty: true}) &&
		(text === "" || clean(e.textContent) === text || clean(e.innerText) === text || e.title === text));
})()`, quote(text), quote(selector))
}

func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	return string(text)
}

// click clicks on an element, as soon as it is there and nothing covers it.
func (b *tab) click(selector, text string) {
	b.t.Helper()
	b.do(b.clicking(selector, text))
}

// follow clicks and waits for the page that this leads to, which answers with 200.
func (b *tab) follow(selector, text string) { b.t.Helper(); b.followAs(selector, text, 200) }

// followAs clicks and waits for the page that this leads to; it returns which of the statuses that had.
func (b *tab) followAs(selector, text string, statuses ...int64) int64 {
	b.t.Helper()
	return b.navigate("click on "+selector+" "+text, b.clicking(selector, text), statuses...)
}

// clicking finds the element, makes sure that nothing covers it, and clicks in one step of the page. A mouse that
// is told where to press, after the element was looked for, misses it when the page is refreshed in between.
func (b *tab) clicking(selector, text string) chromedp.Action[chromedp.Void] {
	click := `(() => {
	const e = ` + locate(selector, text) + `;
	if (!e) return "there is no such element in view";
	e.scrollIntoView({block: "center", inline: "center", behavior: "instant"});
	const r = e.getBoundingClientRect(), x = r.left + r.width / 2, y = r.top + r.height / 2;
	const hit = document.elementFromPoint(x, y), label = e.closest("label");
	if (!hit || !(e.contains(hit) || hit.contains(e) || (label && label.contains(hit)))) return "covered by " + (hit ? hit.outerHTML.slice(0, 120) : "nothing: outside of the window");
	// The focus goes where a mouse takes it.
	const takes = e.closest("a[href], button, input, select, textarea, summary, [tabindex]");
	if (takes) takes.focus({preventScroll: true});
	else document.activeElement?.blur();
	e.click();
	return "";
})()`
	byHand := func(p *runtime.EvaluateParams) { p.UserGesture = new(true) }
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		var why string
		var err error
		if !b.poll(func() bool {
			if why, err = chromedp.Evaluate[string](click, byHand)(ctx, target); err != nil {
				why = err.Error()
			}
			return why == ""
		}) {
			return fmt.Errorf("click on %s %q: %s", selector, text, why)
		}
		return nil
	})
}

// fill types into a control, in place of what it holds.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.wait(selector, "document.querySelector("+quote(selector)+")")
	element := "document.querySelector(" + quote(selector) + ")"
	eval[chromedp.Void](b, element+".focus(); "+element+".select && "+element+".select()")
	b.do(chromedp.KeyEvent(text))
	if got := eval[string](b, element+".value"); got != text {
		b.fatal("typed %q into %s, which holds %q", text, selector, got)
	}
}

// listens waits until the page hears of changes. A session that ends earlier leaves it with a stream that cannot be
// opened, of which the browser complains.
func (b *tab) listens() {
	b.t.Helper()
	b.wait("the page to listen", `document.querySelector("[data-live-state=live]")`)
}

// sees waits for a text to be shown.
func (b *tab) sees(text string) {
	b.t.Helper()
	b.wait("the text", "document.body.innerText.includes("+quote(text)+")")
}

// misses makes sure that a text is not in the page, shown or hidden.
func (b *tab) misses(text string) {
	b.t.Helper()
	if eval[bool](b, "document.documentElement.outerHTML.includes("+quote(text)+")") {
		b.fatal("the page holds %q", text)
	}
}

// at makes sure that the tab is at a path, query included.
func (b *tab) at(path string) {
	b.t.Helper()
	if got := strings.TrimPrefix(b.address(), b.base); got != path {
		b.fatal("at %s, want %s", got, path)
	}
}

func (b *tab) address() string {
	address, _ := evaluate[string](b, "location.href")
	return address
}

func (b *tab) pageText() string {
	text, _ := evaluate[string](b, "document.body.innerText")
	return text
}

func shortened(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > 600 {
		return string(runes[:600]) + "…"
	}
	return text
}

// size makes the window that wide.
func (b *tab) size(width int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, windowHeight))
}

// theme makes the page light or dark, as the switch of the page does.
func (b *tab) theme(name string) {
	b.t.Helper()
	eval[chromedp.Void](b, "void (document.documentElement.dataset.theme = "+quote(name)+")")
}

var screenshots = flag.String("screenshots", "", "write a picture of every page that the accessibility journeys visit to this folder")

// shoot writes a picture of the whole page when -screenshots asks for it.
func shoot(b *tab, name string) {
	b.t.Helper()
	if *screenshots != "" {
		b.picture(*screenshots, name)
	}
}

// keepPicture writes what the tab shows and says where. The folder of the test's artifacts is removed
// unless -artifacts is given, so the picture then goes where it can still be looked at.
func (b *tab) keepPicture() {
	b.t.Helper()
	dir := filepath.Join(os.TempDir(), "switchgear-browser-failures")
	if f := flag.Lookup("test.artifacts"); f != nil && f.Value.String() == "true" {
		dir = b.t.ArtifactDir()
	}
	name := strings.NewReplacer("/", "-", " ", "-").Replace(b.t.Name()) + "-" + strings.Map(func(r rune) rune {
		if strings.ContainsRune("/?=&:", r) {
			return '-'
		}
		return r
	}, strings.TrimPrefix(b.address(), b.base))
	b.t.Logf("the page at the end: %s", b.picture(dir, name))
}

func (b *tab) picture(dir, name string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Errorf("screenshot: %v", err)
		return "(none)"
	}
	path := filepath.Join(dir, name+".png")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.t.Errorf("screenshot: %v", err)
	}
	if err := os.WriteFile(path, png, 0o600); err != nil {
		b.t.Errorf("screenshot: %v", err)
	}
	return path
}
