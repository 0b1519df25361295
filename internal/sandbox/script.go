package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"switchgear/internal/fault"
)

// Script says what happens to the requests of one path, one after the other. Requests that no script has
// a step for are answered normally.
type Script struct {
	// Method is empty for every method.
	Method string `json:"method,omitempty"`
	// Path is exact, or a prefix when it ends in *.
	Path  string `json:"path"`
	Steps []Step `json:"steps"`
	// Loop begins again after the last step; otherwise the script is over then.
	Loop bool `json:"loop,omitempty"`
}

// Step is what happens to one request, or to Repeat of them. The zero value lets the normal answer
// through. First comes the wait, then one of reset, hang and answer; what is set of the answer replaces
// that part of the normal one.
type Step struct {
	// Repeat is for how many requests the step stands. 0 = 1.
	Repeat int `json:"repeat,omitempty"`
	// Delay waits before anything is answered.
	Delay Duration `json:"delay,omitempty"`
	// Hang answers nothing until the client goes away or the sandbox is closed.
	Hang bool `json:"hang,omitempty"`
	// Reset breaks the connection off with RST: [ResetRequest], [ResetHeaders] or [ResetBody].
	Reset string `json:"reset,omitempty"`

	// Status replaces the normal answer; without Body, its body is a JSON object that names the status.
	Status int `json:"status,omitempty"`
	// Headers are set on the answer; an empty value removes one.
	Headers map[string]string `json:"headers,omitempty"`
	// Body replaces the body. Without a Content-Type among the headers it is JSON.
	Body *string `json:"body,omitempty"`
	// Merge is merged into the JSON object that the normal answer is: null removes a member.
	Merge map[string]json.RawMessage `json:"merge,omitempty"`
	// PadTo makes the body at least so long, with spaces at its end.
	PadTo int `json:"pad_to,omitempty"`
	// TruncateAt announces the whole body and closes the connection after so many bytes. nil = whole.
	TruncateAt *int `json:"truncate_at,omitempty"`
	// Drip sends the body piece by piece.
	Drip *Drip `json:"drip,omitempty"`
}

// Drip is a slow body.
type Drip struct {
	Bytes int      `json:"bytes"`
	Every Duration `json:"every"`
}

// Where a connection is reset: before the answer, after its headers, or in the middle of its body.
const (
	ResetRequest = "request"
	ResetHeaders = "headers"
	ResetBody    = "body"
)

const (
	maxScripts = 100
	maxSteps   = 1000
	maxPad     = 16 << 20
)

// Duration is written the way Go writes durations, in JSON as well: "250ms".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil || parsed < 0 {
		return errors.New("must be a duration such as 250ms or 10s")
	}
	*d = Duration(parsed)
	return nil
}

func checkScripts(scripts []Script) error {
	if len(scripts) > maxScripts {
		return fault.Field("TOO_MANY_SCRIPTS", "scripts", "There are too many scripts.")
	}
	for i, s := range scripts {
		field := fmt.Sprintf("scripts[%d]", i)
		switch {
		case s.Path == "" || s.Path[0] != '/':
			return fault.Field("INVALID_SCRIPT", field+".path", "The path must begin with a slash.")
		case len(s.Steps) == 0 || len(s.Steps) > maxSteps:
			return fault.Field("INVALID_SCRIPT", field+".steps", fmt.Sprintf("A script has from 1 to %d steps.", maxSteps))
		}
		for j, step := range s.Steps {
			if name, message := step.check(); message != "" {
				return fault.Field("INVALID_SCRIPT", fmt.Sprintf("%s.steps[%d].%s", field, j, name), message)
			}
		}
	}
	return nil
}

// check returns the field that is wrong and why.
func (s Step) check() (field, message string) {
	switch {
	case s.Repeat < 0:
		return "repeat", "A step cannot stand for less than no request."
	case s.Delay < 0:
		return "delay", "A delay cannot be negative."
	case s.Status != 0 && (s.Status < 200 || s.Status > 599):
		return "status", "The status must be from 200 to 599."
	case s.Reset != "" && s.Reset != ResetRequest && s.Reset != ResetHeaders && s.Reset != ResetBody:
		return "reset", "A reset happens at request, headers or body."
	case s.PadTo < 0 || s.PadTo > maxPad:
		return "pad_to", "The body can be padded to 16 MiB at most."
	case s.TruncateAt != nil && *s.TruncateAt < 0:
		return "truncate_at", "The length cannot be negative."
	case s.Drip != nil && (s.Drip.Bytes < 1 || s.Drip.Every <= 0):
		return "drip", "A drip needs bytes and every."
	}
	return "", ""
}

// running is a script and how far it has come.
type running struct {
	Script

	step, used int
	served     int64
}

func start(scripts []Script) []*running {
	out := make([]*running, 0, len(scripts))
	for _, s := range scripts {
		out = append(out, &running{Script: s})
	}
	return out
}

// next returns the step for the next request; false when the script is over.
func (r *running) next() (Step, bool) {
	if r.step == len(r.Steps) {
		if !r.Loop {
			return Step{}, false
		}
		r.step = 0
	}
	step := r.Steps[r.step]
	r.served++
	if r.used++; r.used >= max(1, step.Repeat) {
		r.step, r.used = r.step+1, 0
	}
	return step, true
}

// nextStep finds the step for a request in the first script that matches and is not over.
func (s *Sandbox) nextStep(method, path string) (Step, bool) {
	for _, r := range s.scripts {
		if !matches(r.Method, r.Path, method, path) {
			continue
		}
		if step, ok := r.next(); ok {
			return step, true
		}
	}
	return Step{}, false
}

// SetScripts replaces the scripts; each begins with its first step.
func (s *Sandbox) SetScripts(scripts ...Script) error {
	if err := checkScripts(scripts); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts = start(scripts)
	return nil
}

// ScriptState is a script in force and how many requests it has answered.
type ScriptState struct {
	Script

	Served int64 `json:"served"`
	// Over is true when every step has been played; a loop never is.
	Over bool `json:"over"`
}

// Scripts returns the scripts in force.
func (s *Sandbox) Scripts() []ScriptState {
	s.mu.Lock()
	defer s.mu.Unlock()
	states := make([]ScriptState, 0, len(s.scripts))
	for _, r := range s.scripts {
		states = append(states, ScriptState{r.Script, r.served, r.step == len(r.Steps) && !r.Loop})
	}
	return states
}

// apply makes of the normal answer what the step wants. normal is called only when its answer is needed,
// because it may change something.
func (s Step) apply(normal func() answer) answer {
	var a answer
	switch {
	case s.Status == 0 && s.Body == nil:
		a = normal()
	case s.Status == 0:
		a = answer{status: http.StatusOK, header: jsonHeader()}
	default:
		a = jsonAnswer(s.Status, map[string]any{"error": http.StatusText(s.Status), "status": s.Status})
	}
	if s.Body != nil {
		a.body = []byte(*s.Body)
	}
	if len(s.Merge) > 0 {
		a.body = merge(a.body, s.Merge)
	}
	for name, value := range s.Headers {
		if value == "" {
			a.header.Del(name)
			continue
		}
		a.header.Set(name, value)
	}
	for len(a.body) < s.PadTo {
		a.body = append(a.body, ' ')
	}
	return a
}

// merge lays members over a JSON object. A body that is none stays as it is.
func merge(body []byte, members map[string]json.RawMessage) []byte {
	object := map[string]json.RawMessage{}
	if json.Unmarshal(body, &object) != nil {
		return body
	}
	for name, value := range members {
		if string(value) == "null" {
			delete(object, name)
			continue
		}
		object[name] = value
	}
	return encode(object)
}
