package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"switchgear/internal/runtime/breaker"
)

// One attempt through the breakers of an operation and its connection.
func Example() {
	registry, err := breaker.NewRegistry(breaker.Deps{
		Config: func(breaker.Key) (breaker.Config, error) { return breaker.Config{}, nil },
		Record: func(context.Context, []breaker.Event) {},
	}, breaker.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	connection := breaker.Key{Connection: "con_1"}
	attempt := func(send func() breaker.Result) {
		permit, err := registry.Allow(breaker.Key{Connection: "con_1", Operation: "createCharge"})
		if rejected, ok := errors.AsType[*breaker.RejectedError](err); ok {
			fmt.Printf("%s, because of the connection: %t, wait %s\n", rejected.State, rejected.BecauseOfConnection(), rejected.RetryAfter.Round(time.Minute))
			return
		}
		if err != nil {
			fmt.Println(err) // there is no such operation
			return
		}
		defer permit.Cancel() // for panics and local rejections; nothing after Done
		permit.Done(send())
	}
	attempt(func() breaker.Result { return breaker.Result{Verdict: breaker.Success, Outcome: "success"} })

	// An answer with Retry-After stops the whole connection, once its permit is finished.
	attempt(func() breaker.Result { return breaker.Result{Verdict: breaker.Excluded, Outcome: "throttled"} })
	b, err := registry.Breaker(connection)
	if err != nil {
		fmt.Println(err)
		return
	}
	b.HoldForUpstream(time.Now().Add(10*time.Minute), "Retry-After: 600")
	attempt(func() breaker.Result { return breaker.Result{Verdict: breaker.Success} })
	fmt.Println(b.Snapshot().Why())

	// Output:
	// held, because of the connection: true, wait 10m0s
	// Held for the upstream: Retry-After: 600.
}
