package health

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
)

// Check is the result of one request of ours to see whether an upstream answers.
type Check struct {
	ConnectionID string
	At           time.Time
	Method, Path string // the path without its query
	Status       int    // 0 when nothing came back
	Outcome      runtime.Outcome
	Took         time.Duration
	// Expected is the one status that counts as good. 0: a 2xx, or what the policy's outcomes count as a success.
	Expected int
	// InARow is how many failed one after the other, this one included, and FailingSince the first of them.
	InARow       int
	FailingSince time.Time
	// Redirect is where a redirect leads to that shows nothing, by host and path, or nowhere; empty for every other answer.
	Redirect string
	// Cut reports that the answer began and did not end, or not in time, so that no rule of the policy was asked.
	Cut bool
}

// nowhere is the Redirect of one that does not say where to.
const nowhere = "-"

// Failed reports whether it speaks against the upstream.
func (c *Check) Failed() bool {
	if c.Expected > 0 && c.Status > 0 {
		return c.Status != c.Expected
	}
	return c.Outcome.Failure()
}

// OK reports whether it was answered well, by the rules for the test of a credential: with the status that is
// expected, with what the policy counts as a success, or with a 2xx. A redirect shows that the upstream is alive and
// nothing else, because it mostly leads to a page to sign in.
func (c *Check) OK() bool {
	if c.Expected > 0 && c.Status > 0 {
		return c.Status == c.Expected
	}
	return c.Outcome == runtime.OutcomeSuccess && c.Redirect == ""
}

// Answer says how it was answered.
func (c *Check) Answer() string {
	if c.Status == 0 {
		return c.Outcome.Label()
	}
	text := statusText(c.Status)
	switch {
	case c.Expected > 0 && c.Status != c.Expected:
		text += fmt.Sprintf(", where %d is expected", c.Expected)
	case c.Expected > 0 || c.Status >= http.StatusBadRequest:
	case c.Cut:
		text += ", but " + strings.ToLower(c.Outcome.Label())
	case c.Status/100 == 2 && !c.OK():
		text += ", which the policy counts as " + strings.ToLower(c.Outcome.Label())
	}
	switch c.Redirect {
	case "":
		return text
	case nowhere:
		return text + ", a redirect that does not say where to"
	}
	return text + ", a redirect to " + c.Redirect + ", which may be a page to sign in"
}

func statusText(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}

// checks plans and keeps the requests.
type checks struct {
	mu      sync.Mutex
	due     map[string]time.Time // by connection id
	running map[string]bool
	last    map[string]*Check
	fresh   []Check  // not stored yet
	touched []string // connections with a result that was not looked at
}

// Check returns the last health check of a connection; false when there was none since the start.
func (s *Service) Check(connectionID string) (Check, bool) {
	c := s.checks.of(connectionID)
	if c == nil {
		return Check{}, false
	}
	return *c, true
}

func (c *checks) of(id string) *Check {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[id]
}

// finished keeps a result.
func (c *checks) finished(r Check) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, r.ConnectionID)
	if r.Failed() {
		r.InARow, r.FailingSince = 1, r.At
		if before := c.last[r.ConnectionID]; before != nil && before.Failed() {
			r.InARow, r.FailingSince = before.InARow+1, before.FailingSince
		}
	}
	c.last[r.ConnectionID] = &r
	c.touched = append(c.touched, r.ConnectionID)
	if len(c.fresh) < maxUnstored {
		c.fresh = append(c.fresh, r)
	}
}

// begin marks a connection as being asked; false when it is already.
func (c *checks) begin(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[id] {
		return false
	}
	c.running[id] = true
	return true
}

func (c *checks) abandoned(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, id)
}

// maxUnstored bounds the results that wait to be stored.
const maxUnstored = 10_000

func (c *checks) take() []Check {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := c.fresh
	c.fresh = nil
	return fresh
}

// takeTouched are the connections that were checked since it was called last.
func (c *checks) takeTouched() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	touched := c.touched
	c.touched = nil
	return touched
}

func (c *checks) putBack(list []Check) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fresh = append(list, c.fresh...)
	if over := len(c.fresh) - maxUnstored; over > 0 {
		c.fresh = append([]Check(nil), c.fresh[over:]...)
	}
}

// plan returns the slugs of the connections that are to be asked now, by their id. An
// interval that became shorter counts at once.
func (c *checks) plan(l *ledger, now time.Time, room int) map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]string{}
	wanted := make(map[string]bool, len(l.checked))
	for _, i := range l.checked {
		it := l.items[i]
		id, every := it.standing.ID, it.standing.Check.Every.Std()
		wanted[id] = true
		due, planned := c.due[id]
		if !planned || due.Sub(now) > every+every/parts {
			c.due[id] = now.Add(firstIn(every))
			continue
		}
		if now.Before(due) || c.running[id] || len(out) >= room {
			continue
		}
		c.due[id] = now.Add(nextIn(every))
		if it.mayAsk(now, every) {
			c.running[id] = true
			out[id] = it.standing.Slug
		}
	}
	for id := range c.due {
		if !wanted[id] {
			delete(c.due, id)
			delete(c.last, id)
		}
	}
	return out
}

// mayAsk reports whether a request of ours is welcome and would say something new: not where calls are held
// back, and not where they tell more.
func (i *item) mayAsk(now time.Time, every time.Duration) bool {
	f := &i.facts
	if now.Sub(f.traffic.LastCall) < every {
		return false
	}
	switch i.status.State {
	case StatePaused, StateHeld:
		return false
	case StateCredential:
		return f.standing.Problem == nil && f.rejected == nil // what a check found may be mended upstream
	case StateHealthy, StateDegraded, StateDown, StateNotSetUp, StateIdle:
	}
	return f.standing.Problem == nil && len(f.holds) == 0 && (len(f.breakers) == 0 || f.probing())
}

// Checker sends the health checks. Make one with [Service.Checker]; Serve must run.
type Checker struct{ service *Service }

// Checker returns the worker that sends health checks.
func (s *Service) Checker() *Checker { return &Checker{s} }

// Serve sends what is due until ctx ends, and waits for what is under way. It is a supervised worker.
func (c *Checker) Serve(ctx context.Context) error {
	s := c.service
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	var running sync.WaitGroup
	defer running.Wait()
	places := make(chan struct{}, s.cfg.Checks)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		due, err := s.due(cap(places) - len(places))
		if err != nil {
			s.deps.Logger.LogAttrs(ctx, slog.LevelError, "health checks are not planned", slog.Any("error", err))
			continue
		}
		for id, slug := range due {
			places <- struct{}{}
			running.Go(func() {
				defer func() { <-places }()
				s.ask(ctx, id, slug)
			})
		}
	}
}

// due plans what is to be asked now, and is it room for.
func (s *Service) due(room int) (map[string]string, error) {
	all, err := s.deps.Connections.Standings(access.System())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.deps.Now()
	if l := &s.ledger; now.Sub(l.at) >= s.cfg.Every || l.places == nil || !sameList(l.standings, all) {
		s.update(all, now)
	}
	return s.checks.plan(&s.ledger, now, room), nil
}

// ask sends one request. What stands in its way since it was planned cancels it.
func (s *Service) ask(ctx context.Context, id, slug string) {
	target, err := s.deps.Connections.Target(slug, "")
	if err != nil || target.ConnectionID != id || !target.Policy.HealthCheck.Active() {
		s.checks.abandoned(id)
		return
	}
	permit, err := s.leave(&target)
	if err != nil {
		s.checks.abandoned(id)
		return
	}
	if permit != nil {
		defer permit.Cancel()
	}
	c := s.send(ctx, target, target.Policy.HealthCheck)
	if ctx.Err() != nil || c.Outcome == runtime.OutcomeRejectedLocal {
		s.checks.abandoned(id)
		return
	}
	s.finished(&target, permit, c)
}

// send sends one request.
func (s *Service) send(ctx context.Context, target runtime.Target, check runtime.HealthCheck) Check {
	if check.Timeout > 0 {
		target.Policy.Timeout = min(target.Policy.Timeout, check.Timeout)
	}
	result := s.deps.Probe(ctx, target, check.Method, check.Path)
	c := Check{
		ConnectionID: target.ConnectionID, At: s.deps.Now(), Method: check.Method, Path: withoutQuery(check.Path), Status: result.Status,
		Outcome: result.Meaning(target.Policy), Took: result.Took, Expected: check.ExpectedStatus, Cut: result.Status > 0 && result.Err != nil,
	}
	if c.Status/100 == 3 && c.Status != c.Expected && !result.Accepted(target.Policy) {
		c.Redirect = cmp.Or(result.Redirect, nowhere)
	}
	return c
}

// CheckNow sends a health check that somebody asked for, and keeps its result like that of any other. It
// needs connections:operate. Where calls are held back nothing is sent, and the answer is a fault.Conflict.
func (s *Service) CheckNow(ctx context.Context, a access.Actor, slug string) (Check, error) {
	if err := a.Require(access.PermissionOperate); err != nil {
		return Check{}, err
	}
	target, err := s.deps.Connections.Target(slug, "")
	if err != nil {
		return Check{}, err
	}
	check := target.Policy.HealthCheck
	if check.Path == "" {
		return Check{}, fault.New(fault.Conflict, "NO_HEALTH_PATH", "The policy names no path for the health check, and neither does the provider.")
	}
	permit, err := s.leave(&target)
	if err != nil {
		return Check{}, err
	}
	if permit != nil {
		defer permit.Cancel()
	}
	if !s.checks.begin(target.ConnectionID) {
		return Check{}, fault.New(fault.Conflict, "CHECK_RUNNING", "A health check is under way. Look again in a moment.")
	}
	c := s.send(ctx, target, check)
	switch {
	case ctx.Err() != nil:
		s.checks.abandoned(target.ConnectionID)
		return Check{}, ctx.Err()
	case c.Outcome == runtime.OutcomeRejectedLocal:
		s.checks.abandoned(target.ConnectionID)
		return Check{}, fault.New(fault.Conflict, "CHECK_NOT_SENT", "The health check was not sent: the credential cannot be used, or the address is not allowed.")
	}
	s.finished(&target, permit, c)
	s.Wake()
	return *s.checks.of(target.ConnectionID), nil
}

// finished keeps a result, and tells it the breaker whose probe it was.
func (s *Service) finished(target *runtime.Target, permit *breaker.Permit, c Check) {
	if permit != nil {
		permit.Done(c.verdict(&target.Policy))
	}
	s.checks.finished(c)
}

func withoutQuery(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return path
}
