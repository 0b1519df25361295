package layout

import "strings"

// ShortVersion is what fits beside the navigation: of the version that the Go tool makes up for a commit
// without a tag ("v0.0.0-20261124031148-02f3ff999e26+dirty") the commit, any other version as it is.
func ShortVersion(version string) string {
	bare, _, _ := strings.Cut(version, "+")
	parts := strings.Split(bare, "-")
	if len(parts) < 3 {
		return version
	}
	commit, stamp := parts[len(parts)-1], parts[len(parts)-2]
	// After a tag the moment follows a counter: "v1.4.3-0.20261124031148-02f3ff999e26".
	if dot := strings.LastIndexByte(stamp, '.'); dot >= 0 {
		stamp = stamp[dot+1:]
	}
	if len(commit) != 12 || strings.Trim(commit, "0123456789abcdef") != "" || len(stamp) != 14 || strings.Trim(stamp, "0123456789") != "" {
		return version
	}
	return commit
}
