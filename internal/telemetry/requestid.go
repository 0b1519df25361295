package telemetry

import (
	"context"
	"net/http"
)

// AssignRequestID gives every request a new id: in its context for logs and errors, and in the response
// header X-Request-Id for whoever reports a problem. An id that the client sends is not believed. more adds
// what else a request is to carry from the beginning, so that it is copied once for all of it.
func AssignRequestID(next http.Handler, more ...func(context.Context) context.Context) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := NewRequestID()
		w.Header()["X-Request-Id"] = []string{id}
		ctx := WithRequestID(r.Context(), id)
		for _, add := range more {
			ctx = add(ctx) //nolint:fatcontext // There are a few of them, each once.
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
