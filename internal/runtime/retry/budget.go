package retry

import (
	"strconv"
	"sync"
	"time"

	"switchgear/internal/fault"
)

// BudgetConfig bounds the repeats and hedges of one connection. The zero value is usable.
type BudgetConfig struct {
	// Ratio bounds the calls that are being repeated to a part of those under way; 0 is none. Minimum is always
	// allowed. 0 = 3.
	Ratio   float64
	Minimum int
	// TokenRatio bounds the repeats of the last ten seconds to a part of the calls of that time, MinimumTokens
	// is always allowed. 0 = 0.1 and 10.
	TokenRatio    float64
	MinimumTokens int
}

// Validate reports the first field that is wrong as fault.Invalid.
func (c BudgetConfig) Validate(path string) error {
	path += ".retry.budget"
	for _, r := range []struct {
		field string
		value float64
	}{{".ratio", c.Ratio}, {".token_ratio", c.TokenRatio}} {
		if !(r.value >= 0 && r.value <= 1) { // Not a number fails as well.
			return invalid(path+r.field, strconv.FormatFloat(r.value, 'g', -1, 64), "It must be between 0 and 1.")
		}
	}
	for _, n := range []struct {
		field string
		value int
	}{{".minimum", c.Minimum}, {".minimum_tokens", c.MinimumTokens}} {
		if n.value < 0 || n.value > 1000 {
			return fault.Field(codeInvalidPolicy, path+n.field, "It must be between 0 and 1000.").WithValue(strconv.Itoa(n.value))
		}
	}
	return nil
}

func (c BudgetConfig) filled() BudgetConfig {
	if c.Minimum == 0 {
		c.Minimum = 3
	}
	if c.TokenRatio == 0 {
		c.TokenRatio = 0.1
	}
	if c.MinimumTokens == 0 {
		c.MinimumTokens = 10
	}
	return c
}

// tokenLife is how long a call pays for repeats.
const tokenLife = 10

// Budget bounds the repeats and hedges of one connection. It is safe for concurrent use.
type Budget struct {
	origin time.Time

	mu       sync.Mutex
	cfg      BudgetConfig
	inFlight int
	extra    int // calls that are being repeated or hedged
	refused  int64
	second   int64 // of the newest slice
	slices   [tokenLife]slice
	calls    int // in all slices
	repeats  int
}

// slice is one second.
type slice struct{ calls, repeats int }

// NewBudget makes a budget. The configuration must be valid.
func NewBudget(cfg BudgetConfig) (*Budget, error) {
	if err := cfg.Validate("policy"); err != nil {
		return nil, err
	}
	return &Budget{origin: time.Now(), cfg: cfg.filled()}, nil
}

// Configure replaces the configuration; what is counted stays.
func (b *Budget) Configure(cfg BudgetConfig) error {
	if err := cfg.Validate("policy"); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cfg = cfg.filled()
	return nil
}

// roll forgets the seconds that are over.
func (b *Budget) roll() *slice {
	now := int64(time.Since(b.origin) / time.Second)
	if now-b.second >= tokenLife {
		b.slices, b.calls, b.repeats = [tokenLife]slice{}, 0, 0
		b.second = now
	}
	for b.second < now {
		b.second++
		old := &b.slices[b.second%tokenLife]
		b.calls -= old.calls
		b.repeats -= old.repeats
		*old = slice{}
	}
	return &b.slices[b.second%tokenLife]
}

// Call is the part of one call in the budget. It belongs to one goroutine at a time.
type Call struct {
	budget  *Budget
	counted bool // it is among the repeated
	ended   bool
}

// Begin counts a call as under way, until its End.
func (b *Budget) Begin() Call {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.roll()
	s.calls++
	b.calls++
	b.inFlight++
	return Call{budget: b}
}

// Repeat takes one more attempt from the budget. It returns why there is none, or nothing.
func (c *Call) Repeat() (why string) {
	b := c.budget
	if b == nil || c.ended {
		return "the call has ended"
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.roll()
	if most := b.most(); !c.counted && b.extra >= most {
		b.refused++
		return used(b.extra, most, "calls being repeated")
	}
	if most := b.mostTokens(); b.repeats >= most {
		b.refused++
		return used(b.repeats, most, "repeats in "+strconv.Itoa(tokenLife)+" s")
	}
	if !c.counted {
		c.counted = true
		b.extra++
	}
	b.repeats++
	s.repeats++
	return ""
}

func used(n, most int, what string) string {
	return "budget used up: " + strconv.Itoa(n) + " of " + strconv.Itoa(most) + " " + what
}

func (b *Budget) most() int { return max(b.cfg.Minimum, int(b.cfg.Ratio*float64(b.inFlight))) }

func (b *Budget) mostTokens() int {
	return b.cfg.MinimumTokens + int(b.cfg.TokenRatio*float64(b.calls))
}

// End takes the call out of those under way. Ending it again does nothing.
func (c *Call) End() {
	if c.budget == nil || c.ended {
		return
	}
	c.ended = true
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	c.budget.inFlight--
	if c.counted {
		c.budget.extra--
	}
}

// BudgetSnapshot shows a budget at one moment.
type BudgetSnapshot struct {
	InFlight int
	// Repeating of MostRepeating calls are being repeated now.
	Repeating, MostRepeating int
	// Repeats of MostRepeats were made in the last ten seconds, for so many Calls.
	Repeats, MostRepeats, Calls int
	// Refused counts since the budget was made.
	Refused int64
}

// Snapshot shows the budget now.
func (b *Budget) Snapshot() BudgetSnapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll()
	return BudgetSnapshot{
		InFlight: b.inFlight, Repeating: b.extra, MostRepeating: b.most(), Repeats: b.repeats, MostRepeats: b.mostTokens(),
		Calls: b.calls, Refused: b.refused,
	}
}

// Budgets holds the budgets of all connections. It is safe for concurrent use.
type Budgets struct {
	mu      sync.RWMutex
	budgets map[string]*Budget
}

// NewBudgets makes an empty registry.
func NewBudgets() *Budgets { return &Budgets{budgets: map[string]*Budget{}} }

// Configure gives a connection its budget: a new one, or a new configuration for the one it has.
func (r *Budgets) Configure(connection string, cfg BudgetConfig) (*Budget, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b, ok := r.budgets[connection]; ok {
		return b, b.Configure(cfg)
	}
	b, err := NewBudget(cfg)
	if err != nil {
		return nil, err
	}
	r.budgets[connection] = b
	return b, nil
}

// Get returns the budget of a connection; false when none was configured.
func (r *Budgets) Get(connection string) (*Budget, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	b, ok := r.budgets[connection]
	return b, ok
}

// Remove forgets a connection. Calls under way end in the budget they began in.
func (r *Budgets) Remove(connection string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.budgets, connection)
}
