package telemetry

import "net/http"

// AssignRequestID gives every request a new id: in its context for logs and errors, and in the response
// header X-Request-Id for whoever reports a problem. An id that the client sends is not believed.
func AssignRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := NewRequestID()
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r.WithContext(WithRequestID(r.Context(), id)))
	})
}
