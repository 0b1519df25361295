package connections

import (
	"fmt"
	"os"
	"testing"
)

// childEnv makes the test binary play another process, which edits connections in the data directory that
// it names, under a prefix: "prefix:directory".
const childEnv = "SWITCHGEAR_CONNECTIONS_TEST_CHILD"

func TestMain(m *testing.M) {
	child, where := childEdit, os.Getenv(childEnv)
	if what := os.Getenv(renewEnv); what != "" {
		child, where = childOfRenewal, what
	}
	if where == "" {
		os.Exit(m.Run())
	}
	if err := child(where); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
