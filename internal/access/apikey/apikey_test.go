package apikey

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"switchgear/internal/telemetry"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^sg_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$`)
	seen := map[string]bool{}
	for range 2000 {
		k := New()
		text := k.Text().Reveal()
		if !form.MatchString(text) {
			t.Fatalf("%q", text)
		}
		if seen[k.ID] {
			t.Fatalf("id %s twice", k.ID)
		}
		seen[k.ID] = true
		if back, err := Parse(text); err != nil || back != k {
			t.Fatalf("%q became %+v, %v", text, back, err)
		}
	}
}

func fixed() Key {
	return Key{ID: "0123456789Ab", Secret: telemetry.NewSecret(strings.Repeat("z", secretLength))}
}

// The format is a promise: keys that were handed out must stay readable.
func TestFormatIsStable(t *testing.T) {
	t.Parallel()
	const want = "sg_0123456789Ab_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz_"
	text := fixed().Text().Reveal()
	if !strings.HasPrefix(text, want) || len(text) != length {
		t.Errorf("%q", text)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := fixed().Text().Reveal()
	bad := append(make([]string, 0, 100),
		"", "sg_", good+"0", good[:len(good)-1], " "+good[1:], "SG"+good[2:], strings.ToLower(good),
		strings.Replace(good, "z", "y", 1), good[:15]+"-"+good[16:], strings.Repeat("_", length), strings.Repeat("é", length/2),
	)
	for i := range good { // every single mistyped character
		c := byte('a')
		if good[i] == c {
			c = 'b'
		}
		bad = append(bad, good[:i]+string(c)+good[i+1:])
	}
	for _, text := range bad {
		if _, err := Parse(text); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	k := New()
	for _, text := range []string{fmt.Sprint(k), fmt.Sprintf("%+v %#v", k, k), fmt.Sprint(k.Text())} {
		if strings.Contains(text, k.Secret.Reveal()) {
			t.Errorf("the secret is printed: %s", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(fixed().Text().Reveal())
	f.Add("sg_0123456789Ab_x_y")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := Parse(text)
		if err != nil {
			if k != (Key{}) || !errors.Is(err, ErrMalformed) {
				t.Fatalf("%q: %+v, %v", text, k, err)
			}
			return
		}
		// It accepts exactly what Text produces.
		if k.Text().Reveal() != text {
			t.Fatalf("%q is read as %q", text, k.Text().Reveal())
		}
	})
}

func BenchmarkParse(b *testing.B) {
	text := fixed().Text().Reveal()
	for b.Loop() {
		if _, err := Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
