package db

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// cachedQueries bounds the cache: queries are constants in the code, but a list screen composes some.
const cachedQueries = 2048

// rewriter turns $1 into ?1. The driver would bind $n by order of first appearance, silently, so this
// is not optional.
type rewriter struct {
	mu    sync.RWMutex
	known map[string]rewritten
}

type rewritten struct {
	query string
	// args is the highest placeholder, or -1 when the query also holds others, such as a bare ?, and cannot be counted.
	args int
}

func newRewriter() *rewriter { return &rewriter{known: map[string]rewritten{}} }

// rewrite returns the query for SQLite. It fails when the number of arguments does not match: the
// driver would ignore the surplus.
func (r *rewriter) rewrite(query string, args int) (string, error) {
	r.mu.RLock()
	found, ok := r.known[query]
	r.mu.RUnlock()
	if !ok {
		found = rewritePlaceholders(query)
		r.mu.Lock()
		if len(r.known) < cachedQueries {
			r.known[query] = found
		}
		r.mu.Unlock()
	}
	if found.args >= 0 && found.args != args {
		return "", fmt.Errorf("db: the query names %d arguments but was given %d", found.args, args)
	}
	return found.query, nil
}

// rewritePlaceholders replaces every $n outside of literals, quoted names and comments.
func rewritePlaceholders(query string) rewritten {
	var out strings.Builder
	out.Grow(len(query))
	highest, bare := 0, false
	for i := 0; i < len(query); {
		end := skipOpaque(query, i)
		switch {
		case end > i:
		case strings.IndexByte("?:@#", query[i]) >= 0: // SQLite's other kinds of placeholder
			bare = true
			end = nameEnd(query, i+1)
		case isNameByte(query[i]):
			end = nameEnd(query, i)
			if number, ok := placeholder(query[i:end]); ok {
				highest = max(highest, number)
				out.WriteByte('?')
				i++
			}
		default:
			end = i + 1
		}
		out.WriteString(query[i:end])
		i = end
	}
	if bare {
		highest = -1
	}
	return rewritten{query: out.String(), args: highest}
}

// placeholder reports the number of a word of the form $1.
func placeholder(word string) (int, bool) {
	digits, ok := strings.CutPrefix(word, "$")
	if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	number, err := strconv.Atoi(digits)
	return number, err == nil
}

// skipOpaque returns the end of the literal, quoted name or comment that starts at i, or i when none
// does. A doubled quote reads as two literals side by side, which ends at the same place.
func skipOpaque(query string, i int) int {
	rest := query[i:]
	switch {
	case rest[0] == '\'', rest[0] == '"', rest[0] == '`':
		return i + 1 + through(rest[1:], rest[:1])
	case rest[0] == '[':
		return i + 1 + through(rest[1:], "]")
	case strings.HasPrefix(rest, "--"):
		return i + 2 + through(rest[2:], "\n")
	case strings.HasPrefix(rest, "/*"):
		return i + 2 + through(rest[2:], "*/")
	}
	return i
}

// through returns the length of s up to and including mark, or all of s.
func through(s, mark string) int {
	if before, _, ok := strings.Cut(s, mark); ok {
		return len(before) + len(mark)
	}
	return len(s)
}

func nameEnd(query string, i int) int {
	for i < len(query) && isNameByte(query[i]) {
		i++
	}
	return i
}

// isNameByte reports whether SQLite may have b inside a name or number. A $ inside a name is part of it.
func isNameByte(b byte) bool {
	return b == '$' || b == '_' || b >= 0x80 ||
		'0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}
