package alerts

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/health"
	"switchgear/internal/runtime/breaker"
)

// The types of a Param: how it is written.
const (
	ParamDuration = "duration" // 90s, 5m, 1h
	ParamPercent  = "percent"  // above 0, at most 100
	ParamCount    = "count"    // a whole number from 1 on
)

// Param is a parameter of a kind. Values are text, so that forms, the API and the store have one form of them.
type Param struct {
	Key, Label, Type, Help, Default string
	// Min and Max bound a duration; zero where there is no bound.
	Min, Max time.Duration
}

// KindInfo describes a kind of rules.
type KindInfo struct {
	// ID is the stable name, such as breaker_opened.
	ID string
	// Title is the name that people read, About what it watches.
	Title, About string
	Params       []Param
	// Severity, For and Repeat are what a new rule begins with.
	Severity    Severity
	For, Repeat time.Duration
	// Windowed kinds look at a window of stored figures, and are judged less often.
	Windowed bool
}

// Params are the values of a rule's parameters, complete and checked.
type Params map[string]string

// Duration returns a parameter of that type.
func (p Params) Duration(key string) time.Duration {
	d, _ := time.ParseDuration(p[key]) // checked when it was written
	return d
}

// Percent returns a parameter of that type as a share of one.
func (p Params) Percent(key string) float64 {
	n, _ := strconv.ParseFloat(p[key], 64) // checked when it was written
	return n / 100
}

// Count returns a parameter of that type.
func (p Params) Count(key string) int64 {
	n, _ := strconv.ParseInt(p[key], 10, 64) // checked when it was written
	return n
}

// Condition is something that a rule watches for and that holds now.
type Condition struct {
	Connection *connections.Connection
	// Operation is empty for the connection as a whole.
	Operation string
	// Since is when it began, zero where that is not known.
	Since time.Time
	// Why is a sentence or two.
	Why string
	// About names what of the connection it is about, where conditions of several rules may be about the same.
	About []string
}

// Facts are what kinds judge by: one moment, shared by every rule. Nothing in it may be changed.
type Facts struct {
	Now time.Time
	// Health are the connections that somebody should look at, the worst first.
	Health []health.Item
	// Breakers are those that are not closed.
	Breakers []*breaker.Snapshot
	// Connections are all of them, by id.
	Connections map[string]*connections.Connection
	// Called are the ids of those that were called lately.
	Called []string
	// Expiries reads what ends about credentials, the first to end first.
	Expiries func(ctx context.Context) ([]connections.Expiry, error)
	// Totals reads what was stored of calls.
	Totals func(ctx context.Context, q calls.RollupQuery) (calls.Figures, error)
}

// Kind is one kind of condition.
type Kind interface {
	Info() KindInfo
	// Judge returns where the condition holds now, for connections that in selects. An error leaves the alerts
	// of the rule as they are.
	Judge(ctx context.Context, f *Facts, p Params, in func(*connections.Connection) bool) ([]Condition, error)
}

// All returns every kind, in the order of a menu. Kinds about other facts (dead letters,
// failed syncs) are added here.
func All() []Kind {
	return []Kind{breakerOpened{}, connectionDown{}, credentialProblem{}, heldByVendor{}, errorBudget{}, tokenExpiresSoon{}}
}

// LookupKind returns the kind of that name, or a fault.Invalid about the field kind.
func LookupKind(id string) (Kind, error) {
	names := make([]string, 0, len(All()))
	for _, k := range All() {
		if k.Info().ID == id {
			return k, nil
		}
		names = append(names, k.Info().ID)
	}
	return nil, fault.Field("UNKNOWN_RULE_KIND", "kind", "There is no such kind of rule.").
		WithSuggestion("Use one of " + strings.Join(names, ", ") + ".")
}

// complete fills in defaults and checks every value. Errors are about params.<key>.
func (i KindInfo) complete(given map[string]string) (Params, error) {
	out := Params{}
	for _, p := range i.Params {
		value := strings.TrimSpace(given[p.Key])
		if value == "" {
			value = p.Default
		}
		if err := p.check(value); err != nil {
			return nil, err
		}
		out[p.Key] = value
	}
	for key := range given {
		if _, ok := out[key]; !ok {
			return nil, fault.Field("UNKNOWN_FIELD", "params."+key, "This kind of rule has no such parameter.")
		}
	}
	return out, nil
}

func (p Param) check(value string) error {
	bad := func(message string) error { return fault.Field("INVALID_PARAMETER", "params."+p.Key, message) }
	switch p.Type {
	case ParamDuration:
		d, err := time.ParseDuration(value)
		switch {
		case err != nil:
			return bad("It must be a duration such as 90s, 5m or 1h.")
		case d < p.Min || p.Max > 0 && d > p.Max:
			return bad(fmt.Sprintf("It must be from %s to %s.", p.Min, p.Max))
		}
	case ParamPercent:
		if n, err := strconv.ParseFloat(value, 64); err != nil || math.IsNaN(n) || n <= 0 || n > 100 {
			return bad("It must be a number above 0 and at most 100.")
		}
	case ParamCount:
		if n, err := strconv.ParseInt(value, 10, 32); err != nil || n < 1 {
			return bad("It must be a whole number from 1 on.")
		}
	default:
		return fault.Newf(fault.Internal, "alerts: unknown type %q of parameter %s", p.Type, p.Key)
	}
	return nil
}
