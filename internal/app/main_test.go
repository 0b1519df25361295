package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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
