package credentials

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
)

func sealerOf(t *testing.T, ring *Keyring) *Sealer {
	t.Helper()
	s, err := ring.Sealer(PurposeCredential)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func somewhere() AAD {
	return AAD{Table: "credential_versions", Row: "cred_1", Column: "sealed", Owner: "con_1", Account: "default", Version: 3}
}

// A sealed value opens in its place, over a restart too, and nowhere else.
func TestSealedValueIsBoundToItsPlace(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	source := KeySource{Value: keyText(1)}
	first := sealerOf(t, mustOpen(t, d, source))
	plain := []byte("canary-plain")
	sealed, keyID, err := first.Seal(somewhere(), plain)
	if err != nil {
		t.Fatal(err)
	}
	if keyID == 0 || strings.Contains(sealed, "canary") {
		t.Errorf("key %d, sealed %q", keyID, sealed)
	}
	again, _, err := first.Seal(somewhere(), plain)
	if err != nil || again == sealed {
		t.Errorf("sealing twice gives the same text (%v)", err)
	}
	second := sealerOf(t, mustOpen(t, d, source))
	if got, err := second.Open(somewhere(), sealed); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("after a restart: %q, %v", got, err)
	}

	for name, move := range map[string]func(*AAD){
		"table": func(a *AAD) { a.Table = "x" }, "row": func(a *AAD) { a.Row = "cred_2" }, "column": func(a *AAD) { a.Column = "x" },
		"owner": func(a *AAD) { a.Owner = "con_2" }, "account": func(a *AAD) { a.Account = "acme" }, "version": func(a *AAD) { a.Version++ },
	} {
		place := somewhere()
		move(&place)
		wantCorrupt(t, name, second, place, sealed)
	}
	raw, _ := base64.StdEncoding.DecodeString(sealed)
	raw[len(raw)-1] ^= 1
	wantCorrupt(t, "flipped bit", second, somewhere(), base64.StdEncoding.EncodeToString(raw))
	wantCorrupt(t, "cut", second, somewhere(), sealed[:8])
	wantCorrupt(t, "empty", second, somewhere(), "")
	wantCorrupt(t, "not base64", second, somewhere(), "§")
	other := sealerOf(t, mustOpen(t, dbtest.New(t), source))
	wantCorrupt(t, "other keyset", other, somewhere(), sealed)
}

func wantCorrupt(t *testing.T, what string, s *Sealer, place AAD, sealed string) {
	t.Helper()
	got, err := s.Open(place, sealed)
	if !fault.Is(err, fault.Unavailable) || fault.CodeOf(err) != "CREDENTIAL_CORRUPT" || got != nil {
		t.Errorf("%s: %q, %v", what, got, err)
	}
}

func TestPurposesAreOfOneKind(t *testing.T) {
	t.Parallel()
	ring := mustOpen(t, dbtest.New(t), KeySource{Value: keyText(1)})
	for _, p := range []Purpose{PurposeAPIKey, PurposeAudit, "nothing"} {
		if _, err := ring.Sealer(p); err == nil {
			t.Errorf("%s seals", p)
		}
	}
	if _, err := ring.MAC(PurposeCredential); err == nil {
		t.Error("the encryption keyset makes MACs")
	}
}

// Two places have the same bytes only when they are the same: otherwise a value could be moved between them.
func FuzzAADIsInjective(f *testing.F) {
	f.Add("t", "r", "c", "o", "a", int64(1), "tr", "", "c", "o", "a", int64(1))
	f.Add("", "", "", "", "", int64(0), "\x00", "", "", "", "", int64(0))
	f.Add("a", "b\x00\x00\x00\x00\x00\x00\x00\x01c", "", "", "", int64(-1), "a", "b", "c", "", "", int64(-1))
	f.Fuzz(func(t *testing.T, t1, r1, c1, o1, a1 string, v1 int64, t2, r2, c2, o2, a2 string, v2 int64) {
		x := AAD{Table: t1, Row: r1, Column: c1, Owner: o1, Account: a1, Version: v1}
		y := AAD{Table: t2, Row: r2, Column: c2, Owner: o2, Account: a2, Version: v2}
		if bytes.Equal(x.Encode(), y.Encode()) != (x == y) {
			t.Errorf("%+v and %+v", x, y)
		}
	})
}
