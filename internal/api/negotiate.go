package api

import (
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/fault"
)

// The media types that name a version of the API; the second is that of JSON:API, which clients send
// although it has no such parameter.
const (
	mediaType     = "application/vnd.switchgear+json"
	mediaTypeJSON = "application/vnd.api+json"
)

// versioned serves /api/… without a version: the one that Accept names, otherwise the first.
func versioned(versions []*version) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		for _, v := range versions {
			if acceptable(r, v.number) == nil {
				// Routed as if it had come to the path of the version.
				chi.RouteContext(r.Context()).RoutePath = strings.TrimPrefix(r.URL.EscapedPath(), "/api")
				v.router.ServeHTTP(w, r)
				return nil
			}
		}
		return notAcceptable(numbers(versions))
	}
}

func numbers(versions []*version) []int {
	out := make([]int, len(versions))
	for i, v := range versions {
		out[i] = v.number
	}
	return out
}

func notAcceptable(numbers []int) error {
	list := make([]string, len(numbers))
	for i, n := range numbers {
		list[i] = strconv.Itoa(n)
	}
	return fault.New(fault.NotAcceptable, "", "There is no such representation. Answers are JSON; versions: "+strings.Join(list, ", ")+".").
		WithSuggestion(fmt.Sprintf("Accept: %s;version=%s", mediaType, list[0]))
}

// acceptable reports whether JSON of version n is among what the client accepts, or returns a
// fault.NotAcceptable.
func acceptable(r *http.Request, n int) error {
	lines := r.Header.Values("Accept")
	if strings.TrimSpace(strings.Join(lines, "")) == "" {
		return nil
	}
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			name, parameters, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			if q, err := strconv.ParseFloat(parameters["q"], 64); err == nil && q == 0 {
				continue
			}
			asked := parameters["version"]
			switch {
			case slices.Contains([]string{"*/*", "application/*", "application/json", "application/problem+json"}, name):
				return nil
			case (name == mediaType || name == mediaTypeJSON) && (asked == "" || asked == strconv.Itoa(n)):
				return nil
			}
		}
	}
	return notAcceptable([]int{n})
}
