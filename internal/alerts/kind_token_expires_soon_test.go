package alerts

import (
	"context"
	"strings"
	"testing"
	"time"

	"switchgear/internal/connections"
	"switchgear/internal/credentials"
)

// A secret whose end somebody set is told of 14, 3 and 1 days before, as everything is that ends.
func TestSecretsExpireSoon(t *testing.T) {
	t.Parallel()
	end := time.Date(2027, 1, 31, 23, 59, 59, 0, time.UTC)
	all := func(*connections.Connection) bool { return true }
	for _, within := range []string{"336h", "72h", "24h"} {
		limit, err := time.ParseDuration(within)
		must(t, err)
		for left, told := range map[time.Duration]bool{limit + day: false, limit: true, -day: true} {
			f := &Facts{
				Now: end.Add(-left), Connections: map[string]*connections.Connection{"con": {ID: "con", Slug: "stripe"}},
				Expiries: func(context.Context) ([]connections.Expiry, error) {
					return []connections.Expiry{{Expiry: credentials.Expiry{ConnectionID: "con", Account: "acme", What: credentials.ExpirySecret, At: end}}}, nil
				},
			}
			got, err := tokenExpiresSoon{}.Judge(t.Context(), f, Params{paramWithin: within}, all)
			must(t, err)
			if told != (len(got) == 1) || told && !strings.Contains(got[0].Why, "The secret of account acme end") {
				t.Errorf("within %s, %s left: %+v", within, left, got)
			}
		}
	}
}
