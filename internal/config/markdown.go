package config

import (
	"fmt"
	"strings"
)

// Markdown is the text of docs/configuration.md. A test compares the two.
func Markdown() string {
	var b strings.Builder
	b.WriteString(`# Configuration

<!-- Made from the tags of config.Config by make generate. Do not edit. -->

Every setting is an environment variable; all but secrets are also a flag of ` + "`console`" + `. A flag wins over
the variable, and an empty variable counts as not set. All problems are reported together at start, and an
unknown ` + "`SWITCHGEAR_`" + ` variable is one of them. ` + "`console config`" + ` prints the effective values and where each came
from; secrets are redacted.

| variable | flag | default | meaning |
|---|---|---|---|
`)
	fields := Config{}.Fields()
	for _, f := range fields {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Env, code(dashed(f.Flag)), code(f.Default), strings.ReplaceAll(f.Description, "|", `\|`))
	}
	b.WriteString("\n## Examples\n\n```sh\n")
	for _, f := range fields {
		if f.Example != "" {
			fmt.Fprintf(&b, "%s=%s\n", f.Env, f.Example)
		}
	}
	b.WriteString("```\n")
	return b.String()
}

func dashed(flag string) string {
	if flag == "" {
		return ""
	}
	return "--" + flag
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}
