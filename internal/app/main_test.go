package app

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"switchgear/internal/config"
	"switchgear/internal/telemetry"
)

// childEnv makes the test binary play a console of its own on the directory that it names.
const childEnv = "APP_TEST_CHILD"

func TestMain(m *testing.M) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := childServe(dir, os.Getenv("CHILD_EGRESS_ALLOW")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func childConfig(dir, egressAllow string) (config.Config, error) {
	return config.Load(map[string]string{
		"SWITCHGEAR_ADDR": "127.0.0.1:0", "SWITCHGEAR_DATA": filepath.Join(dir, "data"), "SWITCHGEAR_LOG_LEVEL": "debug",
		"SWITCHGEAR_EGRESS_ALLOW": egressAllow,
	}, nil)
}

// startChild runs a console in a process of its own, and returns what it says and where it is to be set up. One
// that ends before it says so, or says nothing, fails the test with what it did say.
func startChild(t *testing.T, dir, egressAllow string, environ ...string) (cmd *exec.Cmd, said *lockedBuffer, setUp *url.URL) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	cmd, said = exec.CommandContext(ctx, os.Args[0]), &lockedBuffer{}
	cmd.Env = append(append(os.Environ(), childEnv+"="+dir, "CHILD_EGRESS_ALLOW="+egressAllow), environ...)
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	find, link := regexp.MustCompile(`http://\S+/setup\?token=\S+`), ""
	for lines := bufio.NewScanner(out); link == "" && lines.Scan(); {
		link = find.FindString(lines.Text())
	}
	if link == "" {
		t.Fatalf("the child prints no link: %v\n%s", cmd.Wait(), said)
	}
	if setUp, err = url.Parse(link); err != nil {
		t.Fatal(err)
	}
	return cmd, said, setUp
}

// childServe runs until it is ended, with its notices on standard output and its log on standard error.
func childServe(dir, egressAllow string) error {
	cfg, err := childConfig(dir, egressAllow)
	if err != nil {
		return err
	}
	a, err := New(context.Background(), Deps{Config: cfg, Logger: telemetry.NewLogger(os.Stderr, cfg.LogLevel), Notices: os.Stdout})
	if err != nil {
		return err
	}
	return a.Run(context.Background())
}
