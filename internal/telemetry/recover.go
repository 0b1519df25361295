package telemetry

import (
	"fmt"
	"net/http"
	"runtime/debug"
)

// RecoverPanic is deferred around a handler; a panic becomes an error with its stack and goes to
// report. http.ErrAbortHandler passes through: it is how a handler ends a connection on purpose.
func RecoverPanic(report func(error)) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // The server compares with == as well: it is a panic value, never wrapped.
		panic(p)
	}
	report(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
}
