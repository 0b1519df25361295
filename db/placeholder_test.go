package db

import (
	"regexp"
	"strings"
	"testing"

	"github.com/mattn/go-sqlite3"
)

func TestRewritePlaceholders(t *testing.T) {
	t.Parallel()
	tests := []struct {
		query, want string
		args        int
	}{
		{"", "", 0},
		{"SELECT 1", "SELECT 1", 0},
		{"SELECT $2,$1", "SELECT ?2,?1", 2},
		{"SELECT $1+$1", "SELECT ?1+?1", 1},
		{"SELECT $10, $1", "SELECT ?10, ?1", 10},
		{"SELECT '$1', $1", "SELECT '$1', ?1", 1},
		{"SELECT 'it''s $2', $1", "SELECT 'it''s $2', ?1", 1},
		{`SELECT "$2", $1`, `SELECT "$2", ?1`, 1},
		{"SELECT `$2`, [$3], $1", "SELECT `$2`, [$3], ?1", 1},
		{"SELECT $1 -- not $2\n, $3", "SELECT ?1 -- not $2\n, ?3", 3},
		{"SELECT $1 /* $2 ' */, $3", "SELECT ?1 /* $2 ' */, ?3", 3},
		{"SELECT $1 -- to the end $2", "SELECT ?1 -- to the end $2", 1},
		{"SELECT $1 /* open $2", "SELECT ?1 /* open $2", 1},
		{"SELECT 'open $1", "SELECT 'open $1", 0},
		{"SELECT tbl$1, $name, $1a, $", "SELECT tbl$1, $name, $1a, $", 0},
		{"a=$1AND", "a=$1AND", 0},
		{"(a,b)=($1,$2)", "(a,b)=(?1,?2)", 2},
		{"SELECT ?, $1", "SELECT ?, ?1", -1},
		{"SELECT ?$1", "SELECT ?$1", -1},
		{"SELECT :$1, @$1, #$1, $1", "SELECT :$1, @$1, #$1, ?1", -1},
		{"SELECT '?', $1", "SELECT '?', ?1", 1},
		{"SELECT é$1, $1", "SELECT é$1, ?1", 1},
		{"SELECT 4-$1/$2", "SELECT 4-?1/?2", 2},
	}
	for _, test := range tests {
		got := rewritePlaceholders(test.query)
		if got.query != test.want || got.args != test.args {
			t.Errorf("rewrite(%q) = %q with %d arguments, want %q with %d",
				test.query, got.query, got.args, test.want, test.args)
		}
	}
}

// TestPlaceholderOrder is the reason for rewriting: left alone, the driver would answer 11, 22.
func TestPlaceholderOrder(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	for range 2 { // the second time comes from the cache
		var first, second int
		if err := d.QueryRow(t.Context(), "select $2,$1", 11, 22).Scan(&first, &second); err != nil {
			t.Fatal(err)
		}
		if first != 22 || second != 11 {
			t.Errorf("got %d, %d, want 22, 11", first, second)
		}
	}
}

func TestArgumentCount(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	for _, args := range [][]any{nil, {1}, {1, 2, 3}} {
		var sum int
		err := d.QueryRow(t.Context(), "SELECT $1 + $2", args...).Scan(&sum)
		if err == nil || !strings.Contains(err.Error(), "names 2 arguments") {
			t.Errorf("with %d arguments: %v", len(args), err)
		}
	}
}

func TestRewriterCacheIsBounded(t *testing.T) {
	t.Parallel()
	r := newRewriter()
	for i := range cachedQueries + 10 {
		if _, err := r.rewrite("SELECT $1"+strings.Repeat(" ", i), 1); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.known) != cachedQueries {
		t.Errorf("%d cached queries, want %d", len(r.known), cachedQueries)
	}
}

// FuzzRewritePlaceholders checks that only the sign of a placeholder changes, that it changes back and
// forth alike, and that what SQLite accepts stays acceptable.
func FuzzRewritePlaceholders(f *testing.F) {
	for _, seed := range []string{
		"SELECT $2,$1", "SELECT '$1' || $1", "SELECT /* $1 */ $1 -- $2", `SELECT "a""$1", [b], $1`,
		"SELECT x'00', $1", "SELECT 1 AS a$1 WHERE $1 > 'a''$2'", "SELECT `$1", "SELECT $1e5, 1e$1",
	} {
		f.Add(seed)
	}
	conn, err := (&sqlite3.SQLiteDriver{}).Open(":memory:")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = conn.Close() })
	accepts := func(query string) bool {
		statement, err := conn.Prepare(query)
		if err != nil {
			return false
		}
		return statement.Close() == nil
	}
	// What SQLite takes as one name in the manner of Tcl, or as a number out of range.
	odd := regexp.MustCompile(`\$\d+(\(|::)|\$0|\$\d{5}|\x00`)
	f.Fuzz(func(t *testing.T, query string) {
		got := rewritePlaceholders(query)
		if len(got.query) != len(query) {
			t.Fatalf("%q became %q: another length", query, got.query)
		}
		for i := range len(query) {
			if query[i] != got.query[i] && (query[i] != '$' || got.query[i] != '?') {
				t.Fatalf("%q became %q: byte %d changed", query, got.query, i)
			}
		}
		again := rewritePlaceholders(got.query)
		if again.query != got.query {
			t.Fatalf("%q became %q and then %q", query, got.query, again.query)
		}
		if !odd.MatchString(query) && accepts(query) && !accepts(got.query) {
			t.Fatalf("SQLite takes %q but not %q", query, got.query)
		}
	})
}
