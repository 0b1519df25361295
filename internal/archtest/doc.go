// Package archtest holds the rules of the house as tests: who may import whom, what lies at the top
// level, which names are exported, and what nobody may write.
//
// It has no code of its own. Every rule is a function from files to a list of violations, and has a
// test of its own that feeds it a violation: a check that cannot fail proves nothing. A rule that turns out
// to be wrong is changed here, in the open, with its reason.
package archtest
