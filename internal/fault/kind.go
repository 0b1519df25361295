package fault

import "net/http"

// Kind says what sort of failure an error is. The zero value is Internal, so that an error nobody
// classified is answered as our own mistake.
type Kind uint8

// The kinds, each with the one HTTP status it is answered with.
const (
	Internal           Kind = iota // 500: a bug or an unforeseen state
	Invalid                        // 400: the request is malformed or a field is wrong
	Unauthenticated                // 401: nobody is signed in, or the key is unknown
	Forbidden                      // 403: known, but not allowed
	NotFound                       // 404
	MethodNotAllowed               // 405
	NotAcceptable                  // 406: unknown version or media type asked for
	Conflict                       // 409: the state does not allow it now
	PreconditionFailed             // 412: If-Match does not match
	TooLarge                       // 413
	UnsupportedMedia               // 415
	Unprocessable                  // 422: well-formed, but breaks a rule
	RateLimited                    // 429
	BadGateway                     // 502: the upstream answered with something unusable
	Unavailable                    // 503: try again; also "unsure whether it is stored"
	Timeout                        // 504
)

type kindInfo struct {
	status int
	code   string
	title  string
}

// info is total over the kinds; the test walks every kind up to the last.
func (k Kind) info() kindInfo {
	switch k {
	case Invalid:
		return kindInfo{http.StatusBadRequest, "INVALID_REQUEST", "The request is not valid"}
	case Unauthenticated:
		return kindInfo{http.StatusUnauthorized, "UNAUTHENTICATED", "Sign in first"}
	case Forbidden:
		return kindInfo{http.StatusForbidden, "FORBIDDEN", "Not allowed"}
	case NotFound:
		return kindInfo{http.StatusNotFound, "NOT_FOUND", "Not found"}
	case MethodNotAllowed:
		return kindInfo{http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "Method not allowed"}
	case NotAcceptable:
		return kindInfo{http.StatusNotAcceptable, "NOT_ACCEPTABLE", "No such representation"}
	case Conflict:
		return kindInfo{http.StatusConflict, "CONFLICT", "That does not fit the present state"}
	case PreconditionFailed:
		return kindInfo{http.StatusPreconditionFailed, "PRECONDITION_FAILED", "It changed in the meantime"}
	case TooLarge:
		return kindInfo{http.StatusRequestEntityTooLarge, "TOO_LARGE", "The request is too large"}
	case UnsupportedMedia:
		return kindInfo{http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "Unsupported media type"}
	case Unprocessable:
		return kindInfo{http.StatusUnprocessableEntity, "UNPROCESSABLE", "The request breaks a rule"}
	case RateLimited:
		return kindInfo{http.StatusTooManyRequests, "RATE_LIMITED", "Too many requests"}
	case BadGateway:
		return kindInfo{http.StatusBadGateway, "BAD_GATEWAY", "The upstream failed"}
	case Unavailable:
		return kindInfo{http.StatusServiceUnavailable, "UNAVAILABLE", "Not available right now"}
	case Timeout:
		return kindInfo{http.StatusGatewayTimeout, "TIMEOUT", "It took too long"}
	case Internal:
	}
	return kindInfo{http.StatusInternalServerError, "INTERNAL", "Something went wrong on our side"}
}

// Status is the HTTP status that the kind is answered with.
func (k Kind) Status() int { return k.info().status }

// Code is the machine code of an error of this kind that names none of its own.
func (k Kind) Code() string { return k.info().code }

// Title is a short heading for a person.
func (k Kind) Title() string { return k.info().title }

// String returns the code.
func (k Kind) String() string { return k.Code() }
