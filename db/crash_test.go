package db

import (
	"bufio"
	"math/rand/v2"
	"testing"
)

// TestKilled kills a process with SIGKILL at random points of its work: every row that it acknowledged
// must be there, and the file must be sound.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	createItems(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for round := range 10 {
		ids := killedRound(t, dir, 1+rand.IntN(4000))
		checkAcknowledged(t, dir, ids)
		acknowledged += len(ids)
		t.Logf("round %d: %d rows acknowledged, none lost", round, len(ids))
	}
	if acknowledged == 0 {
		t.Fatal("nothing was acknowledged, so nothing was tested")
	}
}

func killedRound(t *testing.T, dir string, after int) []string {
	t.Helper()
	cmd := childCommand(t, testBinary(t), "write", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(out)
	ids := readIDs(reader, after)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	ids = append(ids, readIDs(reader, 0)...)
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	if len(ids) < after {
		t.Fatalf("the child acknowledged %d rows, want at least %d", len(ids), after)
	}
	return ids
}

func checkAcknowledged(t *testing.T, dir string, ids []string) {
	t.Helper()
	d, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if !d.lock.unclean {
		t.Error("the start after a kill was not seen as one after an unclean stop")
	}
	stored := map[string]bool{}
	rows, err := d.Query(t.Context(), "SELECT id FROM items")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		stored[id] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if !stored[id] {
			t.Errorf("%s was acknowledged and is gone", id)
		}
	}
	var verdict string
	if err := d.QueryRow(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %q, %v", verdict, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}
