package console

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
	"switchgear/web/static"
	errorsview "switchgear/web/templates/errors"
)

// SealedDeps are what the console of a sealed process works with; all are required.
type SealedDeps struct {
	Assets  *static.Assets
	Sealed  credentials.Sealed
	KeyFile string
	Now     func() time.Time
	Logger  *slog.Logger
}

// NewSealed returns the handler of a process whose master key does not fit its database: every address
// answers 503 and says what is missing. It reads and changes nothing.
func NewSealed(deps SealedDeps) http.Handler {
	c := &Console{} // no feature is there: the pages below need none
	c.Assets, c.Logger, c.Now = deps.Assets, deps.Logger, deps.Now
	r := chi.NewRouter()
	r.Use(c.recoverPanics, c.securityHeaders)
	r.Method(http.MethodGet, "/static/*", deps.Assets)
	explain := c.handle(func(w http.ResponseWriter, r *http.Request) error {
		err := fault.New(fault.Unavailable, "SEALED", "The console is sealed: "+deps.Sealed.Reason+".").WithRetryAfter(time.Minute)
		if fault.WantsJSON(r) {
			return err
		}
		fault.SetHeaders(w.Header(), err)
		return c.render(w, r, http.StatusServiceUnavailable, errorsview.Sealed(errorsview.SealedView{
			Bare: c.bare(r, "Sealed"), Reason: deps.Sealed.Reason, Expected: deps.Sealed.Expected, Got: deps.Sealed.Got, KeyFile: deps.KeyFile,
			RequestID: telemetry.RequestID(r.Context()),
		}))
	})
	r.HandleFunc("/*", explain)
	return r
}
