package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"switchgear/internal/config"
	"switchgear/internal/fault"
)

// commandLine is the grammar. The settings of package config join it as flags (see settingFlags), so
// that a setting is described in one place.
type commandLine struct {
	kong.Plugins

	Serve   serveCommand   `cmd:"" default:"1" help:"Run the console (the default)."`
	Demo    demoCommand    `cmd:"" help:"Run the console with the demonstration: a pretend provider, three connections and steady calls. Its data is in ./demo unless SWITCHGEAR_DATA says otherwise."`
	Config  configCommand  `cmd:"" help:"Print the effective configuration, secrets redacted."`
	User    userCommands   `cmd:"" help:"Administer console users."`
	Key     keyCommands    `cmd:"" help:"Administer API keys."`
	Audit   auditCommands  `cmd:"" help:"Check the audit log."`
	Call    callCommand    `cmd:"" help:"Send one request through a connection, as an application would, and print the answer."`
	Doctor  doctorCommand  `cmd:"" help:"Check data directory, key, database, disk, listeners, clock and egress rules."`
	Version versionCommand `cmd:"" help:"Print the version."`

	RotateKeys rotateKeysCommand `cmd:"" help:"Replace the data key, or the master key, while the console runs or stands still."`
}

type userCommands struct {
	Create      userCreateCommand      `cmd:"" help:"Create a user with a password."`
	SetPassword userSetPasswordCommand `cmd:"" help:"Give a user a new password and end their sessions."`
}

type keyCommands struct {
	Create keyCreateCommand `cmd:"" help:"Create an API key and print it, this once."`
}

type auditCommands struct {
	Verify auditVerifyCommand `cmd:"" help:"Recompute the chain of the audit log."`
}

// environment is what every command runs in.
type environment struct {
	config config.Config
	std    stdio
	// ownPace says that GOGC names how often memory is collected.
	ownPace bool
}

// command is implemented by every leaf of the grammar.
type command interface {
	run(ctx context.Context, env environment) error
}

// errHelp says that help was printed and there is nothing to run.
var errHelp = errors.New("help printed")

// parse turns arguments and environment into something to run; nil when help was asked for.
func parse(args, environ []string, std stdio) (func(context.Context) error, error) {
	settings := newSettingFlags()
	cli := commandLine{Plugins: kong.Plugins{settings.target()}}
	asked := false
	parser, err := kong.New(&cli,
		kong.Name("console"),
		kong.Description("Switchgear: one place for the connections to outside systems. Settings come from SWITCHGEAR_* variables or the flags below; flags win."),
		kong.Writers(std.out, std.err),
		kong.Exit(func(int) { asked = true; panic(errHelp) }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
	)
	if err != nil {
		return nil, err
	}
	if len(args) > 0 && args[0] == "help" { // as with many programs: help, and help user create
		args = append(slices.Clone(args[1:]), "--help")
	}
	parsed, err := parseArguments(parser, args)
	if asked {
		return nil, nil //nolint:nilnil // Help was answered: there is neither a command nor an error.
	}
	if err != nil {
		return nil, err
	}
	leaf, ok := reflect.TypeAssert[command](parsed.Selected().Target.Addr())
	if !ok {
		return nil, fmt.Errorf("%s is not runnable", parsed.Command())
	}
	cfg, err := config.Load(environMap(environ), settings.overrides())
	if err != nil {
		return nil, err
	}
	env := environment{config: cfg, std: std, ownPace: environMap(environ)["GOGC"] != ""}
	return func(ctx context.Context) error { return leaf.run(ctx, env) }, nil
}

// parseArguments contains the panic by which kong's exit hook leaves the parser.
func parseArguments(parser *kong.Kong, args []string) (parsed *kong.Context, err error) {
	defer func() {
		if p := recover(); p != nil && p != any(errHelp) {
			panic(p)
		}
	}()
	return parser.Parse(args)
}

// settingFlags is a struct type made at run time with one flag for each setting.
type settingFlags struct {
	fields []config.Field
	value  reflect.Value
}

func newSettingFlags() settingFlags {
	var fields []config.Field
	var types []reflect.StructField
	for _, f := range (config.Config{}).Fields() {
		if f.Flag == "" { // secrets have none: other users can read the flags of a process
			continue
		}
		fields = append(fields, f)
		help := f.Description
		if f.Default != "" && f.Type != "boolean" {
			help += " Default: " + f.Default + "."
		}
		tag := fmt.Sprintf(`name:%q help:%q placeholder:%q group:"Settings"`, f.Flag, help, strings.ToUpper(f.Type))
		kind := reflect.TypeFor[*string]()
		if f.Type == "boolean" { // --dev alone means true
			kind = reflect.TypeFor[*bool]()
		}
		types = append(types, reflect.StructField{Name: "F" + f.Env, Type: kind, Tag: reflect.StructTag(tag)})
	}
	return settingFlags{fields: fields, value: reflect.New(reflect.StructOf(types))}
}

func (s settingFlags) target() any { return s.value.Interface() }

// overrides are the settings given as flags, by the name of their variable.
func (s settingFlags) overrides() map[string]string {
	out := map[string]string{}
	for i, f := range s.fields {
		switch given := s.value.Elem().Field(i).Interface().(type) {
		case *string:
			if given != nil {
				out[f.Env] = *given
			}
		case *bool:
			if given != nil {
				out[f.Env] = strconv.FormatBool(*given)
			}
		}
	}
	return out
}

func environMap(environ []string) map[string]string {
	out := make(map[string]string, len(environ))
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok {
			out[name] = value
		}
	}
	return out
}

// usageFailed prints a problem with how the command was asked, with every line of it.
func usageFailed(std stdio, err error) int {
	_, _ = fmt.Fprintln(std.err, "console: "+explain(err))
	if parsing, ok := errors.AsType[*kong.ParseError](err); ok {
		_, _ = fmt.Fprintln(std.err, "Try console "+strings.Join(append(commandWords(parsing.Context), "--help"), " ")+".")
	}
	return 2
}

// commandWords are the words of the command that was understood before parsing failed: "key", "create".
func commandWords(c *kong.Context) []string {
	var out []string
	for _, step := range c.Path {
		if step.Command != nil {
			out = append(out, step.Command.Name)
		}
	}
	return out
}

// explain is the message of err for a person, with what to do about it.
func explain(err error) string {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err.Error()
	}
	if e.Kind == fault.Internal {
		return err.Error()
	}
	text := e.Message
	if e.Details.Field != "" && !strings.Contains(text, e.Details.Field) {
		text = e.Details.Field + ": " + text
	}
	if e.Details.Suggestion != "" {
		text += "\n" + e.Details.Suggestion
	}
	if cause := errors.Unwrap(e); cause != nil {
		text += "\n(" + cause.Error() + ")"
	}
	return text
}
