package access

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// The golden matrix is what the roles are allowed to do. A change to it is a decision.
func TestPermissionMatrix(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	fmt.Fprintf(&b, "%-13s", "")
	for _, r := range Roles() {
		fmt.Fprintf(&b, " %-8s", r)
	}
	for _, p := range Permissions() {
		fmt.Fprintf(&b, "\n%-13s", p)
		for _, r := range Roles() {
			cell := "-"
			if r.Can(p) {
				cell = "yes"
			}
			fmt.Fprintf(&b, " %-8s", cell)
		}
	}
	var got []string
	for line := range strings.Lines(b.String()) {
		got = append(got, strings.TrimRight(line, " \n"))
	}
	golden, err := os.ReadFile(filepath.Join("testdata", "permissions.golden"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(golden)), strings.TrimSpace(strings.Join(got, "\n"))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	for _, r := range Roles() {
		if got, err := ParseRole(string(r)); got != r || err != nil || r.Description() == "" {
			t.Errorf("%s: %s, %v, %q", r, got, err, r.Description())
		}
	}
	for _, text := range []string{"", "Owner", "root", "owner "} {
		if r, err := ParseRole(text); r != "" || fault.CodeOf(err) != "UNKNOWN_ROLE" {
			t.Errorf("%q: %q, %v", text, r, err)
		}
	}
	if Role("").Can(PermissionSystemRead) || Role("root").Can(PermissionOperate) || RoleOwner.Can("everything") {
		t.Error("what does not exist is allowed")
	}
}

func TestActors(t *testing.T) {
	t.Parallel()
	for _, a := range []Actor{System(), CommandLine("root")} {
		must(t, a.Require(PermissionUsersWrite))
	}
	wantCode(t, Actor{Kind: KindAPIKey, ID: "x"}.Require(PermissionSystemRead), fault.Forbidden, "FORBIDDEN")
	wantCode(t, Actor{}.Require(PermissionSystemRead), fault.Forbidden, "FORBIDDEN")
	wantCode(t, Origin{}.actor("x").Require(PermissionSystemRead), fault.Forbidden, "FORBIDDEN")
}

func TestParseEmail(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"ada@example.com": "ada@example.com", " Ada@Example.COM ": "ada@example.com", "a.b+c@sub.example.org": "a.b+c@sub.example.org",
		"root@localhost": "root@localhost", "o'neil@example.ie": "o'neil@example.ie",
		"": "", "ada": "", "@example.com": "", "ada@": "", "ada@@example.com": "", "a@b@c.com": "", "Ada <ada@example.com>": "",
		"ada@example.com, bob@example.com": "", "ada @example.com": "", `"a b"@example.com`: "", "ada@exa\nmple.com": "",
		"ada@[192.0.2.1]": "", "ada@example.com\x00": "", "аda@example.com": "" /* a Cyrillic a */, ".ada@example.com": "",
		strings.Repeat("a", 65) + "@example.com": "", "a@" + strings.Repeat("b", 260) + ".com": "",
	} {
		got, err := parseEmail(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q became %q, %v", in, got, err)
		}
		if err != nil {
			wantField(t, err, "INVALID_EMAIL", "email")
		}
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	for in, ok := range map[string]bool{
		"Ada Lovelace": true, "": true, "山田太郎": true, "👩‍💻": true, strings.Repeat("é", 120): true,
		strings.Repeat("é", 121): false, "a\tb": false, "a\nb": false, "a\x00b": false, "a\u202Eb": false, "a\u2028b": false, "\xff": false, "a\u0085b": false,
	} {
		if _, err := line("INVALID_NAME", "name", in, 120); (err == nil) != ok {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// What nobody sees neither makes a name nor a difference between two.
func TestLineInvisible(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Ada\u200B Love\u00ADlace\uFEFF": "Ada Lovelace", "\u2060 Ada \u200D": "Ada", "A\u3164da": "Ada",
		"Zoe\u0308": "Zoe\u0308", "👍\uFE0F": "👍\uFE0F", "…": "…", "": "", " \t ": "",
		"\u200B": "-", "\u200B \u2060": "-", "\u3164": "-", "\u2800\u2800": "-", "\u0301\u0308": "-", "\uFE0F": "-", "\u034F\u200D": "-",
	} {
		got, err := line("INVALID_REASON", "reason", in, 120)
		if want == "-" {
			wantField(t, err, "INVALID_REASON", "reason")
		} else if err != nil || got != want {
			t.Errorf("%q became %q, %v", in, got, err)
		}
	}
}

// Searches do not tell upper from lower case, beyond ASCII too, and follow a change of name.
func TestSearchFoldsCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u, err := w.CreateUser(t.Context(), System(), NewUser{
		Email: "zoe@example.com", Name: "ZOË Ångström", Role: RoleOwner, Password: telemetry.NewSecret(goodPassword),
	})
	must(t, err)
	users := func(text string) int {
		page, err := w.Users(t.Context(), System(), UserQuery{Search: text})
		must(t, err)
		return page.Total
	}
	if users("zoë ÅNG") != 1 || users("ZOE@") != 1 || users("ça") != 0 {
		t.Error("before the change")
	}
	must(t, w.UpdateProfile(t.Context(), actorOf(u), "Ça Va"))
	if users("zoë") != 0 || users("ZOE@") != 1 || users("ÇA va") != 1 {
		t.Error("after the change")
	}
	k, _, err := w.CreateKey(t.Context(), System(), NewKey{Name: "ÜBERWEISUNG", Scopes: []Scope{"call:billing"}})
	must(t, err)
	for text, want := range map[string]int{"überW": 1, "CALL:bill": 1, k.ID: 1, "öber": 0, "%": 0} {
		page, err := w.Keys(t.Context(), System(), KeyQuery{Search: text})
		if err != nil || page.Total != want {
			t.Errorf("%q: %d, %v", text, page.Total, err)
		}
	}
}
