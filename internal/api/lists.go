package api

import (
	"cmp"
	"slices"
	"strings"
)

// order is one way to sort a list that is in memory.
type order[T any] struct {
	name    string
	compare func(a, b T) int
}

// compare orders texts, upper and lower case alike.
func compare(a, b string) int {
	return cmp.Or(cmp.Compare(strings.ToLower(a), strings.ToLower(b)), cmp.Compare(a, b))
}

// sortBy sorts a list in memory as the client asks, stably; without a wish it stays as it is.
func sortBy[T any](all []T, sort string, orders []order[T]) error {
	names := make([]string, len(orders))
	for i, o := range orders {
		names[i] = o.name
	}
	if err := checkSort(sort, names...); err != nil || sort == "" {
		return err
	}
	name, descending := strings.CutPrefix(sort, "-")
	by := orders[slices.Index(names, name)].compare
	slices.SortStableFunc(all, func(a, b T) int {
		if descending {
			return by(b, a)
		}
		return by(a, b)
	})
	return nil
}

// each makes a list of what make returns for every element, never a null.
func each[T, U any](all []T, convert func(T) U) []U {
	out := make([]U, len(all))
	for i, v := range all {
		out[i] = convert(v)
	}
	return out
}
