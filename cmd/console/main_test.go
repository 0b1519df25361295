package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"console": main})
}

// TestScripts runs the command line as a person would: each script is one story.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// The data directory of a script is short, so that its socket has an address; a long one has
			// a script of its own.
			env.Setenv("SWITCHGEAR_DATA", "data")
			env.Setenv("SWITCHGEAR_ADDR", "127.0.0.1:0")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"waitfile": waitFile,
			"mode":     fileMode,
		},
	})
}

// waitFile waits until a file exists: `waitfile data/admin.sock`.
func waitFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitfile FILE")
	}
	path := ts.MkAbs(args[0])
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 6000 { // a minute: only a process that is stuck takes that long
		if _, err := os.Lstat(path); err == nil {
			return
		}
		<-tick.C
	}
	ts.Fatalf("%s does not appear", args[0])
}

// fileMode checks permissions: `mode 0600 data/admin.sock`.
func fileMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode MODE FILE")
	}
	info, err := os.Lstat(ts.MkAbs(filepath.FromSlash(args[1])))
	ts.Check(err)
	if got := "0" + octal(info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

func octal(mode os.FileMode) string {
	digits := ""
	for m := uint32(mode); m > 0; m /= 8 {
		digits = string(rune('0'+m%8)) + digits
	}
	return digits
}
