package alerts

import (
	"context"
	"fmt"
	"strings"
	"time"

	"switchgear/internal/connections"
	"switchgear/internal/credentials"
)

// tokenExpiresSoon: what a person has to replace ends before long.
type tokenExpiresSoon struct{}

// paramWithin is how long before the end it is told.
const paramWithin = "within"

func (tokenExpiresSoon) Info() KindInfo {
	return KindInfo{
		ID: "token_expires_soon", Title: "Credential expires soon", Severity: SeverityWarning, Windowed: true,
		About: "An access token that nothing can renew, the certificate that a connection presents, or a secret whose end somebody set, ends before long.",
		Params: []Param{{
			Key: paramWithin, Label: "How long before", Type: ParamDuration, Default: "336h", Min: time.Hour, Max: 90 * 24 * time.Hour,
			Help: "336h are 14 days. Make a rule for each time that you want to hear of it.",
		}},
	}
}

// Judge does not say since when: what is stored with little time left was not there before.
func (tokenExpiresSoon) Judge(ctx context.Context, f *Facts, p Params, in func(*connections.Connection) bool) ([]Condition, error) {
	expiries, err := f.Expiries(ctx)
	if err != nil {
		return nil, err
	}
	limit := f.Now.Add(p.Duration(paramWithin))
	var (
		order []*connections.Connection
		parts = map[*connections.Connection][]string{}
		about = map[*connections.Connection][]string{}
	)
	for _, e := range expiries { // The first to end is the first.
		c := f.Connections[e.ConnectionID]
		if e.What == credentials.ExpiryConsent || e.What == credentials.ExpiryOld || e.At.After(limit) || c == nil || !in(c) {
			continue
		}
		if parts[c] == nil {
			order = append(order, c)
		}
		parts[c] = append(parts[c], expiryText(e, f.Now))
		about[c] = append(about[c], e.Account+" "+e.What)
	}
	out := make([]Condition, len(order))
	for i, c := range order {
		texts := parts[c]
		more := ""
		if n := len(texts) - mostExpiries; n > 0 {
			texts, more = texts[:mostExpiries], fmt.Sprintf(" %d more end before long.", n)
		}
		out[i] = Condition{Connection: c, Why: strings.Join(texts, " ") + more, About: about[c]}
	}
	return out, nil
}

// mostExpiries is how many are named in one alert.
const mostExpiries = 3

// expiryText names the day and not how long it is until then, so that it does not change with every look.
func expiryText(e connections.Expiry, now time.Time) string {
	verb := "ends"
	if !e.At.After(now) {
		verb = "ended"
	}
	return fmt.Sprintf("The %s of account %s %s on %s.", e.What, e.Account, verb, e.At.UTC().Format("2 Jan 2006 15:04 UTC"))
}
