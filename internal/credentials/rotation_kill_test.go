package credentials

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// childEnv makes the test binary play a process that rotates keys and is killed: the rotation (data, master),
// how many steps it lives, and the directory. With renew it plays one that uses an account; see renewals.
const childEnv = "SWITCHGEAR_CREDENTIALS_TEST_CHILD"

func TestMain(m *testing.M) {
	parts := strings.SplitN(os.Getenv(childEnv), ":", 3)
	if len(parts) != 3 {
		os.Exit(m.Run())
	}
	if err := child(parts[0], parts[1], parts[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child rotates until it is killed at a step, and ends by itself when there are fewer.
func child(rotation, steps, dir string) error {
	left, err := strconv.Atoi(steps)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if rotation == "renew" {
		return renewals(ctx, left, dir)
	}
	i := installationIn(dir)
	if err := i.open(ctx); err != nil {
		return err
	}
	step := func(string) {
		if left--; left == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal is on its way
		}
	}
	i.ring.step, i.rotator.step = step, step
	if rotation == "master" {
		_, err := i.rotateMaster(ctx)
		return err
	}
	s, err := i.rotator.Status(ctx)
	if err != nil {
		return err
	}
	if s.Last == nil || s.Last.State == RotationDone {
		if err := i.begin(ctx); err != nil {
			return err
		}
	}
	return i.rotator.Work(ctx)
}

// run starts the child and reports whether it was killed.
func run(t *testing.T, rotation string, steps int, dir string) (killed bool) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%d:%s", childEnv, rotation, steps, dir))
	cmd.Stderr = os.Stderr
	err = cmd.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := ended.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL {
			return true
		}
	}
	if err != nil {
		t.Fatalf("%s, %d steps: %v", rotation, steps, err)
	}
	return false
}

// A process that is killed at any step of a rotation loses nothing, is not sealed by it, and the next one goes
// on where it was.
func TestRotationKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, rotation := range []string{"data", "master"} {
		t.Run(rotation, func(t *testing.T) {
			t.Parallel()
			i := filled(t)
			want := i.mustValues(t)
			rounds := 0
			for steps := 1; ; steps++ {
				if err := i.db.Close(); err != nil {
					t.Fatal(err)
				}
				if !run(t, rotation, steps, i.dir) {
					break
				}
				rounds++
				if err := i.open(t.Context()); err != nil {
					t.Fatalf("killed at step %d: %v", steps, err)
				}
				i.wantValues(t, fmt.Sprintf("killed at step %d", steps), want)
			}
			if err := i.open(t.Context()); err != nil {
				t.Fatal(err)
			}
			i.wantValues(t, "at the end", want)
			if s := i.status(t); rotation == "data" && (s.Last.State != RotationDone || s.Done != s.Total) {
				t.Errorf("%d of %d, %+v", s.Done, s.Total, s.Last)
			}
			if rounds < 3 {
				t.Errorf("killed %d times", rounds)
			}
			t.Logf("%s: killed at %d steps, nothing lost", rotation, rounds)
		})
	}
}
