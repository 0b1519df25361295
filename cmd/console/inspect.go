package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"switchgear/internal/app"
	"switchgear/internal/fault"
)

// maxCallInput bounds a body that is read from standard input.
const maxCallInput = 512 << 10

type callCommand struct {
	Connection string   `arg:"" help:"The slug of the connection."`
	Method     string   `arg:"" help:"GET, POST …"`
	Path       string   `arg:"" help:"Below the base URL of the connection, with its query: /v1/charges?limit=3."`
	Account    string   `help:"The account whose credential is used; the default one when empty."`
	Header     []string `sep:"none" help:"A header to send, as \"Name: value\"; repeat it."`
	Body       string   `help:"The body to send."`
	BodyStdin  bool     `help:"Read the body from standard input."`
	JSON       bool     `help:"Print JSON: the answer with its headers, attempts and outcome."`
}

func (c callCommand) run(ctx context.Context, env environment) error {
	if c.BodyStdin {
		if c.Body != "" {
			return fault.Field("CONFLICTING_FLAGS", "--body-stdin", "choose one of --body and --body-stdin")
		}
		text, err := io.ReadAll(io.LimitReader(env.std.in, maxCallInput+1))
		if err != nil {
			return fmt.Errorf("read the body: %w", err)
		}
		if len(text) > maxCallInput {
			return fault.Field("BODY_TOO_LARGE", "--body-stdin", "the body may have 512 KiB at most; larger ones go through the gateway")
		}
		c.Body = string(text)
	}
	sent, err := app.Administer(ctx, env.config, env.logger(), app.SendCall(), app.CallSend{
		Connection: c.Connection, Account: c.Account, Method: c.Method, Path: c.Path, Headers: c.Header, Body: c.Body,
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(env.std.out, sent)
	} else {
		err = printCall(env.std, sent)
	}
	switch {
	case err != nil:
		return err
	case sent.Error != nil:
		return refused(sent.Error)
	case sent.Broken:
		return errors.New("the answer broke off")
	case sent.Status >= 400:
		return fmt.Errorf("the upstream answered %d", sent.Status)
	}
	return nil
}

// refused is why a call was not made, and what to do about it.
func refused(e *app.CallRefused) error {
	text := e.Code + ": " + e.Message
	if e.Suggestion != "" {
		text += "\n" + e.Suggestion
	}
	if e.RetryAfter > 0 {
		text += "\nRetry-After: " + (time.Duration(e.RetryAfter) * time.Second).String()
	}
	return errors.New(text)
}

// printCall prints the answer alone on standard output, and what became of the call beside it.
func printCall(std stdio, sent app.CallSent) error {
	body, err := sent.Bytes()
	if err != nil {
		return err
	}
	if _, err := std.out.Write(body); err != nil {
		return err
	}
	if n := len(body); n > 0 && body[n-1] != '\n' {
		_, _ = fmt.Fprintln(std.out)
	}
	attempts := fmt.Sprintf("%d attempts", sent.Attempts)
	if sent.Attempts == 1 {
		attempts = "1 attempt"
	}
	cache := ""
	if sent.Cache != "" {
		cache = ", from the cache (" + sent.Cache + ")"
	}
	if sent.Truncated {
		cache += ", shown in part"
	}
	_, err = fmt.Fprintf(std.err, "%d, %s, %s, %.0f ms%s, %s\n", sent.Status, sent.Outcome, attempts, sent.DurationMS, cache, sent.RequestID)
	return err
}

type doctorCommand struct {
	JSON bool `help:"Print JSON."`
}

func (c doctorCommand) run(ctx context.Context, env environment) error {
	found := app.Examine(ctx, env.config, env.logger())
	if c.JSON {
		if err := printJSON(env.std.out, map[string]any{"findings": found}); err != nil {
			return err
		}
	} else {
		table := tabwriter.NewWriter(env.std.out, 0, 4, 2, ' ', 0)
		for _, f := range found {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", f.State, f.Check, f.Message)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	if i := slices.IndexFunc(found, func(f app.Finding) bool { return f.State == app.FindingProblem }); i >= 0 {
		return fmt.Errorf("there are problems; the first is about: %s", found[i].Check)
	}
	return nil
}
