package telemetry_test

import (
	"strings"
	"testing"

	"switchgear/internal/telemetry"
)

func TestParseTraceparent(t *testing.T) {
	t.Parallel()
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for value, want := range map[string]string{
		"00-" + trace + "-" + span + "-01":                          "sampled",
		"00-" + trace + "-" + span + "-00":                          "plain",
		"00-" + trace + "-" + span + "-ff":                          "sampled",
		"cc-" + trace + "-" + span + "-01-what-comes-later":         "sampled",
		"cc-" + trace + "-" + span + "-01.what-comes-later":         "",
		"00-" + trace + "-" + span + "-01-more":                     "",
		"ff-" + trace + "-" + span + "-01":                          "",
		"00-" + strings.ToUpper(trace) + "-" + span + "-01":         "",
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01":        "",
		"00-" + trace + "-" + strings.Repeat("0", 16) + "-01":       "",
		"00-" + trace + "-" + span + "-0x":                          "",
		"00_" + trace + "_" + span + "_01":                          "",
		"0g-" + trace + "-" + span + "-01":                          "",
		"00-" + trace + "-" + span:                                  "",
		"":                                                          "",
		"00-" + trace[:31] + "z-" + span + "-01":                    "",
		" 00-" + trace + "-" + span + "-01":                         "",
		"00-" + trace + "-" + span + "-01,00-" + trace + "-" + span: "",
	} {
		got, ok := telemetry.ParseTraceparent([]string{value})
		if ok != (want != "") || got.Sampled != (want == "sampled") || ok && got.ID() != trace {
			t.Errorf("%q: %v %t, want %q", value, got, ok, want)
		}
	}
	valid := "00-" + trace + "-" + span + "-01"
	for _, values := range [][]string{nil, {valid, valid}} {
		if got, ok := telemetry.ParseTraceparent(values); ok || got.ID() != "" {
			t.Errorf("%q: %v", values, got)
		}
	}
}

func TestTraceparentOfAttempts(t *testing.T) {
	t.Parallel()
	c := telemetry.TraceContext{TraceID: [16]byte{1}, ParentID: [8]byte{2}, SpanID: [8]byte{3}, Sampled: true}
	seen := map[[8]byte]bool{{}: true, c.ParentID: true, c.SpanID: true}
	for n := 1; n <= 20; n++ {
		if id := c.Attempt(n); seen[id] || id != c.Attempt(n) {
			t.Errorf("the id of attempt %d is not its own: %x", n, id)
		} else {
			seen[id] = true
		}
		back, ok := telemetry.ParseTraceparent([]string{c.Traceparent(n)})
		if !ok || back.TraceID != c.TraceID || back.ParentID != c.Attempt(n) || !back.Sampled {
			t.Errorf("attempt %d: %s", n, c.Traceparent(n))
		}
	}
	c.Sampled = false
	if !strings.HasSuffix(c.Traceparent(1), "-00") {
		t.Errorf("not sampled: %s", c.Traceparent(1))
	}
}
