package layout

import "testing"

func TestShortVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"":                                   "",
		"(devel)":                            "(devel)",
		"v0.1.0":                             "v0.1.0",
		"v0.1.0-rc.1":                        "v0.1.0-rc.1",
		"v0.1.0+dirty":                       "v0.1.0+dirty",
		"v0.0.0-20261124031148-02f3ff999e26": "02f3ff999e26",
		"v0.0.0-20261124031148-02f3ff999e26+dirty":  "02f3ff999e26",
		"v1.4.3-0.20261124031148-02f3ff999e26":      "02f3ff999e26",
		"v1.4.3-rc.1.0.20261124031148-02f3ff999e26": "02f3ff999e26",
		"v0.0.0-20261124031148-02f3ff999e2":         "v0.0.0-20261124031148-02f3ff999e2",
		"v0.0.0-20261124031148-nothexdigits":        "v0.0.0-20261124031148-nothexdigits",
		"v0.0.0-today-02f3ff999e26":                 "v0.0.0-today-02f3ff999e26",
	} {
		if got := ShortVersion(version); got != want {
			t.Errorf("ShortVersion(%q) = %q, want %q", version, got, want)
		}
	}
}
