// Command console is Switchgear: `console serve` runs it, the other commands administer it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), stdio{os.Stdin, os.Stdout, os.Stderr}))
}

// stdio is where a command reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// run executes one command and returns the exit code: 0 done, 1 failed, 2 asked wrongly.
//
// The first SIGINT or SIGTERM ends the context, so that the server drains; after that the signals have
// their usual effect again, so a second one ends the process at once.
func run(args, environ []string, std stdio) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	release := context.AfterFunc(ctx, stop)
	defer release()

	command, err := parse(args, environ, std)
	if err != nil {
		return usageFailed(std, err)
	}
	if command == nil { // --help has been answered
		return 0
	}
	if err := command(ctx); err != nil {
		_, _ = fmt.Fprintln(std.err, "console: "+explain(err))
		return 1
	}
	return 0
}
