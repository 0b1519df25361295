package calls

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	sketchstore "github.com/DataDog/sketches-go/ddsketch/store"

	"switchgear/internal/fault"
	"switchgear/internal/runtime"
)

// accuracy is how far off a percentile may be, relative to the duration. Stored sketches depend on it.
const accuracy = 0.01

// maxPoints bounds what one query answers.
const maxPoints = 2000

// RollupQuery selects what [Log.Series] and [Log.Totals] count: calls that began from From until before To,
// to the minute.
type RollupQuery struct {
	Connection string // its id; empty: all connections together
	// Operation is the id of one of it, or OtherOperations; empty: all its calls together.
	Operation string
	From, To  time.Time
	// Step is how long a point is: whole minutes. 0 = a minute. Whole hours are read faster.
	Step time.Duration
}

// Figures are sums over calls, and percentiles of how long they took.
type Figures struct {
	Calls, Attempts             int64
	RequestBytes, ResponseBytes int64
	Outcomes                    map[runtime.Outcome]int64 // only those that there were
	// Waits is how many calls waited for their turn in a rate limit, Waited how long all of them together.
	Waits  int64
	Waited time.Duration
	// Refused are the calls that we refused, by the code of the error; only those that there were.
	Refused       map[string]int64
	Mean          time.Duration
	P50, P95, P99 time.Duration // within one per cent; 0 without calls
}

// Failed is how many of the calls did not bring what the application wanted: those that count as failed in [Traffic],
// and those that we refused.
func (f *Figures) Failed() int64 {
	var n int64
	for o, count := range f.Outcomes {
		if failed(o) || refused(o) {
			n += count
		}
	}
	return n
}

// Point is the calls of one step.
type Point struct {
	At time.Time
	Figures
}

// Series returns the points of a time, oldest first, those without calls included. Points begin at whole
// multiples of the step in UTC, so that the first may begin before From, and the last end after To. Stored
// calls are counted, a moment after they ended; those that the log dropped are not.
func (l *Log) Series(ctx context.Context, q RollupQuery) ([]Point, error) {
	if q.Step == 0 {
		q.Step = time.Minute
	}
	if q.Step < time.Minute || q.Step%time.Minute != 0 {
		return nil, fault.Field("INVALID_STEP", "step", "It must be one or more whole minutes.")
	}
	from, to := floor(q.From, q.Step), ceil(q.To, q.Step)
	n := max(0, int64(to.Sub(from)/q.Step))
	if n > maxPoints {
		return nil, fault.Field("TOO_MANY_POINTS", "step", fmt.Sprintf("There would be %d points; at most %d are answered. Choose a longer step or a shorter time.", n, maxPoints))
	}
	sums := make([]rollup, n)
	err := l.store.rollups(ctx, q.Connection, q.Operation, from, to, q.Step%time.Hour == 0, func(at time.Time, r *rollup) error {
		return sums[at.Sub(from)/q.Step].add(r)
	})
	if err != nil {
		return nil, fmt.Errorf("calls: series: %w", err)
	}
	points := make([]Point, n)
	for i := range points {
		figures, err := sums[i].figures()
		if err != nil {
			return nil, fmt.Errorf("calls: series: %w", err)
		}
		points[i] = Point{At: from.Add(time.Duration(i) * q.Step), Figures: figures}
	}
	return points, nil
}

// Totals returns the figures of a time as a whole. The step of q has no meaning.
func (l *Log) Totals(ctx context.Context, q RollupQuery) (Figures, error) {
	from, to := floor(q.From, time.Minute), ceil(q.To, time.Minute)
	var sum rollup
	add := func(_ time.Time, r *rollup) error { return sum.add(r) }
	// Whole hours are read as such, with the minutes at both ends.
	first, last := ceil(from, time.Hour), floor(to, time.Hour)
	parts := []struct {
		from, to time.Time
		hours    bool
	}{{from, first, false}, {first, last, true}, {last, to, false}}
	if !first.Before(last) {
		parts = parts[:1]
		parts[0].to = to
	}
	for _, p := range parts {
		if err := l.store.rollups(ctx, q.Connection, q.Operation, p.from, p.to, p.hours, add); err != nil {
			return Figures{}, fmt.Errorf("calls: totals: %w", err)
		}
	}
	figures, err := sum.figures()
	if err != nil {
		return Figures{}, fmt.Errorf("calls: totals: %w", err)
	}
	return figures, nil
}

// maxOperations is how many operations of a connection are told apart; the calls of the others are counted as
// OtherOperations.
const maxOperations = 50

// OtherOperations stands for the operations beyond those that are told apart. No operation is called so.
const OtherOperations = "(other)"

// Operations are those of a connection that there are figures of by themselves, in alphabetical order.
func (l *Log) Operations(ctx context.Context, connectionID string) ([]string, error) {
	names, err := operationsOf(ctx, l.deps.DB, connectionID)
	if err != nil {
		return nil, fmt.Errorf("calls: operations: %w", err)
	}
	return names, nil
}

// late is how long after the end of an hour it is summed up, so that calls that end after it are in.
const late = 10 * time.Minute

// keepRollups makes what is due of the figures by the hour, and deletes what is too old. After a start it
// looks back as far as there may be calls that were stored without an end of their hour.
func (l *Log) keepRollups(ctx context.Context) error {
	now := l.deps.Now()
	if l.hours.IsZero() {
		l.hours = floor(now.Add(-l.cfg.MaxAge), time.Hour)
	}
	until := floor(now.Add(-late), time.Hour)
	if l.hours.Before(until) { // once an hour: what is too old makes room for others
		l.minutes.forgetOperations()
	}
	for rounds := 10; rounds > 0 && l.hours.Before(until); rounds-- { // The rest is for the next time: calls wait to be stored.
		var err error
		if l.hours, err = l.store.makeHours(ctx, l.hours, until); err != nil {
			return err
		}
	}
	return l.store.pruneRollups(ctx, now.Add(-l.cfg.MaxRollup))
}

// reopenHours notes that calls come late: storing them drops the sums of their hours.
func (l *Log) reopenHours(batch []runtime.Record) {
	for i := range batch {
		if hour := floor(batch[i].StartedAt, time.Hour); hour.Before(l.hours) {
			l.hours = hour
		}
	}
}

func floor(t time.Time, step time.Duration) time.Time {
	us, size := t.UnixMicro(), step.Microseconds()
	rest := us % size
	if rest < 0 {
		rest += size
	}
	return time.UnixMicro(us - rest).UTC()
}

func ceil(t time.Time, step time.Duration) time.Time {
	f := floor(t, step)
	if f.Before(t) {
		f = f.Add(step)
	}
	return f
}

// rollup is a sum of calls. The zero value is empty.
type rollup struct {
	calls, attempts             int64
	requestBytes, responseBytes int64
	duration                    time.Duration
	outcomes                    map[runtime.Outcome]int64
	waits                       int64
	waited                      time.Duration
	refused                     map[string]int64
	latency                     *ddsketch.DDSketch // of microseconds; nil when empty
}

func newSketch() (*ddsketch.DDSketch, error) {
	m, err := mapping.NewLogarithmicMapping(accuracy)
	if err != nil {
		return nil, err
	}
	// Durations end at an hour or so: there are a thousand bins at most, and few of them in a minute.
	return ddsketch.NewDDSketchFromStoreProvider(m, sketchstore.BufferedPaginatedStoreConstructor), nil
}

// count adds a call.
func (r *rollup) count(c *runtime.Record) error {
	if err := r.prepare(); err != nil {
		return err
	}
	r.calls++
	r.attempts += int64(c.Attempts)
	r.requestBytes += c.RequestBytes
	r.responseBytes += c.ResponseBytes
	r.duration += c.Duration.Truncate(time.Microsecond)
	r.outcomes[c.Outcome]++
	if c.LimitWait > 0 {
		r.waits++
		r.waited += c.LimitWait.Truncate(time.Microsecond)
	}
	if c.Outcome == runtime.OutcomeRejectedLocal && c.ErrorCode != "" {
		r.refused[c.ErrorCode]++
	}
	return r.latency.Add(float64(max(0, c.Duration.Microseconds())))
}

// add adds another sum.
func (r *rollup) add(o *rollup) error {
	if o.calls == 0 {
		return nil
	}
	if err := r.prepare(); err != nil {
		return err
	}
	r.calls += o.calls
	r.attempts += o.attempts
	r.requestBytes += o.requestBytes
	r.responseBytes += o.responseBytes
	r.duration += o.duration
	for outcome, n := range o.outcomes {
		r.outcomes[outcome] += n
	}
	r.waits += o.waits
	r.waited += o.waited
	for code, n := range o.refused {
		r.refused[code] += n
	}
	return r.latency.MergeWith(o.latency)
}

func (r *rollup) prepare() (err error) {
	if r.outcomes == nil {
		r.outcomes = map[runtime.Outcome]int64{}
	}
	if r.refused == nil {
		r.refused = map[string]int64{}
	}
	if r.latency == nil {
		r.latency, err = newSketch()
	}
	return err
}

// encode is the stored form of what is no plain number.
func (r *rollup) encode() (outcomes, refused, latency string, err error) {
	text, err := json.Marshal(r.outcomes)
	if err != nil {
		return "", "", "", err
	}
	codes, err := json.Marshal(r.refused)
	if err != nil {
		return "", "", "", err
	}
	var b []byte
	r.latency.Encode(&b, false) // With its mapping: a change of accuracy is noticed, not misread.
	return string(text), string(codes), base64.RawStdEncoding.EncodeToString(b), nil
}

func (r *rollup) decode(outcomes, refused, latency string) error {
	if err := json.Unmarshal([]byte(outcomes), &r.outcomes); err != nil {
		return fmt.Errorf("outcomes of a rollup: %w", err)
	}
	if err := json.Unmarshal([]byte(refused), &r.refused); err != nil {
		return fmt.Errorf("refusals of a rollup: %w", err)
	}
	b, err := base64.RawStdEncoding.DecodeString(latency)
	if err != nil {
		return fmt.Errorf("latency of a rollup: %w", err)
	}
	if r.latency, err = newSketch(); err != nil {
		return err
	}
	if err := r.latency.DecodeAndMergeWith(b); err != nil {
		return fmt.Errorf("latency of a rollup: %w", err)
	}
	return nil
}

func (r *rollup) figures() (Figures, error) {
	f := Figures{
		Calls: r.calls, Attempts: r.attempts, RequestBytes: r.requestBytes, ResponseBytes: r.responseBytes, Outcomes: r.outcomes,
		Waits: r.waits, Waited: r.waited, Refused: r.refused,
	}
	if f.Outcomes == nil {
		f.Outcomes, f.Refused = map[runtime.Outcome]int64{}, map[string]int64{}
	}
	if r.calls == 0 {
		return f, nil
	}
	f.Mean = r.duration / time.Duration(r.calls)
	values, err := r.latency.GetValuesAtQuantiles([]float64{0.5, 0.95, 0.99})
	if err != nil {
		return Figures{}, err
	}
	f.P50, f.P95, f.P99 = micros(values[0]), micros(values[1]), micros(values[2])
	return f, nil
}

func micros(us float64) time.Duration { return time.Duration(us * float64(time.Microsecond)) }
