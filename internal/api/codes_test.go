package api

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Whoever calls the gateway meets these codes, so each of them is in its document, with what to do.
func TestGatewayCodesAreDocumented(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/gateway.md")
	must(t, err)
	code := regexp.MustCompile(`"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"`)
	credential := regexp.MustCompile(`"(CREDENTIAL_[A-Z0-9_]+)"`)
	// These are about changing a credential, not about calling with it.
	elsewhere := map[string]bool{"CREDENTIAL_GONE": true, "CREDENTIAL_UNCHANGED": true}
	seen := 0
	look := func(pattern string, codes *regexp.Regexp) {
		t.Helper()
		files, err := filepath.Glob(pattern)
		must(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			must(t, err)
			for _, m := range codes.FindAllStringSubmatch(string(text), -1) {
				if seen++; !elsewhere[m[1]] && !strings.Contains(string(document), "`"+m[1]+"`") {
					t.Errorf("%s answers %s, which docs/gateway.md does not explain", file, m[1])
				}
			}
		}
	}
	look("../runtime/errors.go", code)
	look("gateway.go", code)
	look("../credentials/*.go", credential)
	look("../credentials/authtype/*.go", credential)
	if seen < 30 {
		t.Errorf("only %d codes were seen", seen)
	}
}
