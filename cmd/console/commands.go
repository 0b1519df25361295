package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"switchgear/internal/app"
	"switchgear/internal/config"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

type serveCommand struct{}

func (serveCommand) run(ctx context.Context, env environment) error {
	logger := telemetry.NewLogger(env.std.out, env.config.LogLevel)
	console, err := app.New(ctx, app.Deps{Config: env.config, Logger: logger, Notices: env.std.err})
	if err != nil {
		return err
	}
	return withPacedCollector(ctx, env, console.Run)
}

// demoData is where the demonstration keeps its data: in a folder of its own, with the master key beside
// it, so that it never mixes with an installation in ./data and can be deleted as a whole.
const demoData = "demo/data"

type demoCommand struct{}

func (demoCommand) run(ctx context.Context, env environment) error {
	if slices.ContainsFunc(env.config.Fields(), func(f config.Field) bool {
		return f.Env == config.Prefix+"DATA" && f.Source == config.SourceDefault
	}) {
		env.config.Data = demoData
	}
	logger := telemetry.NewLogger(env.std.out, env.config.LogLevel)
	console, err := app.New(ctx, app.Deps{Config: env.config, Logger: logger, Notices: env.std.err})
	if err != nil {
		return err
	}
	if err := console.LoadDemo(ctx); err != nil {
		return errors.Join(err, console.Close(context.WithoutCancel(ctx)))
	}
	return withPacedCollector(ctx, env, console.Run)
}

type versionCommand struct {
	JSON bool `help:"Print JSON."`
}

func (c versionCommand) run(_ context.Context, env environment) error {
	if c.JSON {
		return printJSON(env.std.out, map[string]string{"version": telemetry.Version()})
	}
	_, err := fmt.Fprintln(env.std.out, telemetry.Version())
	return err
}

type configCommand struct {
	JSON bool `help:"Print JSON."`
}

func (c configCommand) run(_ context.Context, env environment) error {
	fields := env.config.Fields()
	if c.JSON {
		type setting struct {
			Name        string `json:"name"`
			Value       string `json:"value"`
			Default     string `json:"default"`
			Source      string `json:"source"`
			Description string `json:"description"`
		}
		out := make([]setting, 0, len(fields))
		for _, f := range fields {
			out = append(out, setting{f.Env, f.Value, f.Default, string(f.Source), f.Description})
		}
		return printJSON(env.std.out, out)
	}
	table := tabwriter.NewWriter(env.std.out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "SETTING\tVALUE\tFROM")
	for _, f := range fields {
		value := f.Value
		if value == "" {
			value = "-"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", f.Env, value, f.Source)
	}
	return table.Flush()
}

type userCreateCommand struct {
	Email         string `required:"" help:"E-mail address to sign in with."`
	Name          string `help:"Name to show; the part of the address before the @ when empty."`
	Role          string `required:"" help:"owner, admin, operator, viewer or auditor."`
	PasswordStdin bool   `help:"Read the password from standard input. Required: a password on the command line would show in the process list."`
	JSON          bool   `help:"Print JSON."`
}

func (c userCreateCommand) run(ctx context.Context, env environment) error {
	password, err := passwordFrom(env.std.in, c.PasswordStdin)
	if err != nil {
		return err
	}
	user, err := app.Administer(ctx, env.config, env.logger(), app.CreateUser(), app.UserCreate{
		Email: c.Email, Name: c.Name, Role: c.Role, Password: password,
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.std.out, user)
	}
	_, err = fmt.Fprintf(env.std.out, "created %s %s (%s)\n", user.Role, user.Email, user.ID)
	return err
}

type userSetPasswordCommand struct {
	Email         string `required:"" help:"E-mail address of the user."`
	PasswordStdin bool   `help:"Read the password from standard input. Required: a password on the command line would show in the process list."`
	JSON          bool   `help:"Print JSON."`
}

func (c userSetPasswordCommand) run(ctx context.Context, env environment) error {
	password, err := passwordFrom(env.std.in, c.PasswordStdin)
	if err != nil {
		return err
	}
	user, err := app.Administer(ctx, env.config, env.logger(), app.SetPassword(), app.PasswordSet{Email: c.Email, Password: password})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.std.out, user)
	}
	_, err = fmt.Fprintf(env.std.out, "%s has a new password; their sessions have ended\n", user.Email)
	return err
}

// passwordFrom reads the password, and insists on being told that it comes on standard input.
func passwordFrom(in io.Reader, allowed bool) (string, error) {
	if !allowed {
		return "", fault.Field("PASSWORD_MISSING", "--password-stdin", "give the password on standard input and add --password-stdin, for example: console user create … --password-stdin < password.txt")
	}
	return readPassword(in)
}

// readPassword takes the first line, so that the newline an editor or echo adds is not part of it.
func readPassword(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

type keyCreateCommand struct {
	Name    string   `required:"" help:"What the key is for."`
	Scope   []string `required:"" sep:"none" help:"What the key may do; repeat it: call:SLUG, call:*, api:read, api:write."`
	Expires string   `help:"How long it lives: 90d, 720h … Empty means that it does not expire."`
	JSON    bool     `help:"Print JSON."`
	Quiet   bool     `help:"Print only the key."`
}

func (c keyCreateCommand) run(ctx context.Context, env environment) error {
	if c.JSON && c.Quiet {
		return fault.Field("CONFLICTING_FLAGS", "--quiet", "choose one of --json and --quiet")
	}
	req := app.KeyCreate{Name: c.Name, Scopes: c.Scope}
	if c.Expires != "" {
		lifetime, err := parseLifetime(c.Expires)
		if err != nil {
			return err
		}
		req.ExpiresAt = time.Now().Add(lifetime)
	}
	key, err := app.Administer(ctx, env.config, env.logger(), app.CreateKey(), req)
	if err != nil {
		return err
	}
	switch {
	case c.JSON:
		return printJSON(env.std.out, key)
	case c.Quiet:
		_, err = fmt.Fprintln(env.std.out, key.Key)
		return err
	}
	expires := "does not expire"
	if !key.ExpiresAt.IsZero() {
		expires = "expires " + key.ExpiresAt.UTC().Format(time.RFC3339)
	}
	_, err = fmt.Fprintf(env.std.out, "%s\n\nKey %q (%s) may %s; it %s.\nIt is shown this once: keep it now.\n",
		key.Key, key.Name, key.ID, strings.Join(key.Scopes, ", "), expires)
	return err
}

// parseLifetime reads a Go duration, or whole days as "90d".
func parseLifetime(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fault.Field("INVALID_LIFETIME", "--expires", strconv.Quote(text)+" is not a lifetime; write 90d or 720h")
	}
	return d, nil
}

type auditVerifyCommand struct {
	Anchor string `help:"SEQ:MAC noted earlier and kept elsewhere; shows whether rows were cut off the end."`
	JSON   bool   `help:"Print JSON."`
}

func (c auditVerifyCommand) run(ctx context.Context, env environment) error {
	var req app.AuditVerify
	if c.Anchor != "" {
		seq, mac, ok := strings.Cut(c.Anchor, ":")
		n, err := strconv.ParseInt(seq, 10, 64)
		if raw, herr := hex.DecodeString(mac); !ok || err != nil || n < 1 || herr != nil || len(raw) != 32 {
			return fault.Field("INVALID_ANCHOR", "--anchor", "write the anchor as SEQ:MAC, whole, as an earlier run or the log printed it")
		}
		req = app.AuditVerify{AnchorSeq: n, AnchorMAC: mac}
	}
	report, err := app.Administer(ctx, env.config, env.logger(), app.VerifyAudit(), req)
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(env.std.out, report)
	} else {
		err = printReport(env.std.out, report)
	}
	if err == nil && len(report.Problems) > 0 {
		err = fmt.Errorf("the audit log has been tampered with or damaged: problems found: %d", len(report.Problems))
	}
	return err
}

func printReport(out io.Writer, report app.AuditVerified) error {
	for _, p := range report.Problems {
		if _, err := fmt.Fprintf(out, "entry %d: %s\n", p.Seq, p.What); err != nil {
			return err
		}
	}
	if len(report.Problems) > 0 {
		return nil
	}
	_, err := fmt.Fprintf(out, "intact: %d entries\nanchor %d:%s\n", report.Entries, report.LastSeq, report.LastMAC)
	return err
}

// logger tells a one-shot command's warnings on standard error, apart from its result.
func (e environment) logger() *slog.Logger {
	return telemetry.NewLogger(e.std.err, slog.LevelWarn)
}

func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
