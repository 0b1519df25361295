package db

import (
	"database/sql"
	"strings"
	"time"
)

// Micros is the stored form of a time: UTC microseconds since 1970.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// Time is the reverse of Micros, in UTC.
func Time(us int64) time.Time { return time.UnixMicro(us).UTC() }

// NullMicros is Micros for a column that may be NULL: the zero time becomes NULL.
func NullMicros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return Micros(t)
}

// NullTime is the reverse of NullMicros.
func NullTime(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return Time(us.Int64)
}

// Like escapes s so that LIKE takes it literally. The query must say ESCAPE '\'.
func Like(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}
