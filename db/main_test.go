package db

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"switchgear/internal/fault"
)

// childEnv makes the test binary play another process: "open" or "write", and the data directory.
const childEnv = "SWITCHGEAR_DB_TEST_CHILD"

func TestMain(m *testing.M) {
	role, dir, ok := strings.Cut(os.Getenv(childEnv), ":")
	if !ok {
		os.Exit(m.Run())
	}
	var err error
	switch role {
	case "open":
		err = childOpen(dir)
	case "write":
		err = childWrite(dir)
	default:
		err = fmt.Errorf("unknown role %q", role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// childOpen prints the outcome of Open: "ok", or the code and the message.
func childOpen(dir string) error {
	d, err := Open(context.Background(), Config{Dir: dir})
	if err != nil {
		_, err = fmt.Fprintf(os.Stdout, "%s\n%v\n", fault.CodeOf(err), err)
		return err
	}
	if _, err := os.Stdout.WriteString("ok\n"); err != nil {
		return err
	}
	return d.Close()
}

// childWrite writes until it is killed and prints the id of every row that was acknowledged.
func childWrite(dir string) error {
	ctx := context.Background()
	d, err := Open(ctx, Config{Dir: dir})
	if err != nil {
		return err
	}
	w := d.NewWriter(WriterConfig{})
	go func() { _ = w.Serve(ctx) }()
	payload := []byte(strings.Repeat("x", 300))
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			for {
				id := NewID("row")
				err := insertItem(ctx, w, id, payload)
				if fault.CodeOf(err) == "WRITER_STOPPED" {
					continue // Serve has not begun
				}
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				// One write per line, unbuffered: what the parent reads was acknowledged.
				if _, err := os.Stdout.WriteString(id + "\n"); err != nil {
					return
				}
			}
		})
	}
	group.Wait()
	return errors.New("the writers stopped by themselves")
}

// childCommand runs a role on dir in a process of its own.
func childCommand(t *testing.T, binary, role, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Env = append(os.Environ(), childEnv+"="+role+":"+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

func testBinary(t *testing.T) string {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// readIDs reads complete lines, at most limit when that is positive.
func readIDs(r *bufio.Reader, limit int) []string {
	var ids []string
	for limit <= 0 || len(ids) < limit {
		line, err := r.ReadString('\n')
		if err != nil {
			return ids // a line without its end was cut off by the kill
		}
		ids = append(ids, strings.TrimSuffix(line, "\n"))
	}
	return ids
}
