package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/config"
)

func TestTraceHeaders(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]map[string]string{
		"":                                  {},
		"authorization=Basic YTpi==,x=":     {"authorization": "Basic YTpi==", "x": ""},
		" x-tenant=one , X_Other=two=three": {"x-tenant": "one", "X_Other": "two=three"},
	} {
		c, err := config.Load(map[string]string{"SWITCHGEAR_OTLP_HEADERS": list}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, c.TraceHeaders()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", list, diff)
		}
	}
}

func TestTracesKeepTheirWholeURL(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"https://otel.example.com":             "https://otel.example.com/v1/traces",
		"https://otel.example.com/":            "https://otel.example.com/v1/traces",
		"https://otel.example.com/in/v1/spans": "https://otel.example.com/in/v1/spans",
	} {
		c, err := config.Load(map[string]string{"SWITCHGEAR_OTLP_ENDPOINT": endpoint}, nil)
		if err != nil || c.OTLPEndpoint != want {
			t.Errorf("%s: %s %v, want %s", endpoint, c.OTLPEndpoint, err, want)
		}
	}
}
