package benchtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	viewedConnections = 1000
	viewers           = 50
	perPerson         = 17 // pages that one person has open; the console allows 20
)

// BenchmarkViewers is what 50 open pages with the overview of 1,000 connections take away from the gateway:
// calls per second, and processor time of the console for each call, without and with them. Both are measured
// in turns in one run, and the ratios are taken between neighbours in time. The pages behave as a browser does:
// each follows the stream and fetches the part that changed, once a second at most. It runs once, whatever
// -benchtime says.
func BenchmarkViewers(b *testing.B) {
	upstream := startUpstream(b)
	c := startConsole(b, upstream.address)
	for i := range viewedConnections {
		c.connect(b, fmt.Sprintf("connection-%04d", i), upstream.address)
	}
	key := c.key(b, "call:*")
	requests := make([][]byte, 0, connections)
	for i := range connections { // each caller calls another one
		requests = append(requests, c.call(fmt.Sprintf("connection-%04d", i*viewedConnections/connections), key))
	}
	people := make([]*http.Client, 0, 1+viewers/perPerson)
	people = append(people, c.owner)
	for len(people)*perPerson < viewers {
		people = append(people, c.viewer(b, len(people)))
	}

	s := system{name: "console", address: c.address, pid: c.pid}
	measure := func() sample {
		before := s.processorTime(b)
		got, err := load{address: s.address, requests: requests, connections: connections, duration: round}.run(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		got.cpu = time.Duration(float64(s.processorTime(b)-before) / (got.rate * round.Seconds()))
		return got
	}
	measure() // the first calls pay for what is made once
	alone, watched := make([]sample, 0, rounds), make([]sample, 0, rounds)
	var fetched atomic.Int64
	for range rounds {
		alone = append(alone, measure())
		stop := c.watch(b, people, &fetched)
		watched = append(watched, measure())
		stop()
	}
	if fetched.Load() < rounds*viewers {
		b.Fatalf("%d pages fetched %d times only: nobody looked", viewers, fetched.Load())
	}
	rate, cpu := func(s sample) float64 { return s.rate }, func(s sample) float64 { return float64(s.cpu.Nanoseconds()) / 1000 }
	ratio := func(of func(sample) float64) float64 {
		ratios := make([]float64, rounds)
		for n := range ratios {
			ratios[n] = of(watched[n]) / of(alone[n])
		}
		return median(ratios)
	}
	b.ReportMetric(0, "ns/op") // One run is no operation.
	b.ReportMetric(median(column(alone, rate)), "calls/s-alone")
	b.ReportMetric(ratio(rate), "x-calls/s")
	b.ReportMetric(median(column(alone, cpu)), "cpu-µs/call-alone")
	b.ReportMetric(ratio(cpu), "x-cpu")
	b.ReportMetric(float64(fetched.Load())/(rounds*round.Seconds()), "fetches/s")
}

// viewer is somebody who may only look, signed in.
func (c *console) viewer(b *testing.B, n int) *http.Client {
	b.Helper()
	email := "viewer" + strconv.Itoa(n) + "@example.com"
	c.command(b, password+"\n", "user", "create", "--email", email, "--name", "Viewer", "--role", "viewer", "--password-stdin")
	client := newBrowser(b)
	c.post(b, client, "/sign-in", "/", url.Values{"email": {email}, "password": {password}})
	return client
}

// watch opens the pages, waits until all of them follow, and keeps them open until stop is called.
func (c *console) watch(b *testing.B, people []*http.Client, fetched *atomic.Int64) (stop func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var all sync.WaitGroup
	following := make(chan error, viewers)
	for i := range viewers {
		all.Go(func() {
			err := c.page(ctx, people[i/perPerson], fetched, func() { following <- nil })
			if ctx.Err() == nil {
				b.Errorf("a page: %v", err)
				following <- err
			}
		})
	}
	for range viewers {
		if err := <-following; err != nil {
			b.Fatal(err)
		}
	}
	return func() { cancel(); all.Wait() }
}

// page follows the stream of the overview and fetches what changed, a second after it did so last.
func (c *console) page(ctx context.Context, client *http.Client, fetched *atomic.Int64, follows func()) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base()+"/live?topics=connections,board,checklist", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return errors.New("the stream was answered with " + resp.Status)
	}
	changed := make(chan struct{}, 1)
	var fetching sync.WaitGroup
	defer fetching.Wait()
	defer close(changed)
	fetching.Go(func() {
		for range changed {
			if err := c.fetch(ctx, client); err != nil {
				if ctx.Err() == nil {
					_ = resp.Body.Close()
				}
				return
			}
			fetched.Add(1)
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
		}
	})
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, isEvent := strings.CutPrefix(lines.Text(), "event: ")
		switch {
		case !isEvent:
		case name == "connected":
			follows()
		case slices.Contains([]string{"board", "checklist"}, name):
			select {
			case changed <- struct{}{}:
			default: // what is fetched next has it
			}
		}
	}
	return errors.Join(errors.New("the stream ended"), lines.Err())
}

func (c *console) fetch(ctx context.Context, client *http.Client) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base()+"/", http.NoBody)
	if err != nil {
		return err
	}
	// Unpacking is work of the browser's machine.
	r.Header = http.Header{"Hx-Request": {"true"}, "Hx-Target": {"overview-impact"}, "Accept-Encoding": {"gzip"}}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return errors.New("the overview was answered with " + resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
