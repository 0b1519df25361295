package connections

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/credentials"
)

// When a secret ends is noted with who said it, without the secret and without a version.
func TestExpiryOfAnAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t) // It is 24 November 2026 there.
	d := draft("stripe")
	d.Auth.ExpiresOn = new("2026-12-01")
	c, err := w.Create(t.Context(), admin(), d, "")
	must(t, err)
	of := func(account string) credentials.Credential {
		t.Helper()
		all, err := w.Accounts(t.Context(), admin(), "stripe")
		must(t, err)
		for _, one := range all {
			if one.Account == account {
				return one
			}
		}
		return credentials.Credential{}
	}
	if got := of("default"); got.ExpiresOn != "2026-12-01" || got.ExpiresSetBy != admin().Name {
		t.Errorf("as entered: %+v", got)
	}
	found := func() Connection {
		t.Helper()
		c, err := w.Find(t.Context(), admin(), "stripe")
		must(t, err)
		return c
	}
	must(t, only(w.PutAccount(t.Context(), admin(), "stripe", "default", Auth{ExpiresOn: new("2027-12-01")}, "renewed")))
	must(t, only(w.PutAccount(t.Context(), admin(), "stripe", "default", Auth{ExpiresOn: new("2027-12-01")}, "again")))
	if got, present := of("default"), found(); got.ExpiresOn != "2027-12-01" || got.Version != 1 || present.Version != c.Version {
		t.Errorf("another day: %+v, version %d", got, present.Version)
	}
	// An edit of the connection that says nothing of it leaves it, one that names a day sets it.
	w.update("stripe", func(d *Draft) { d.Name = "Another name" })
	if got := of("default"); got.ExpiresOn != "2027-12-01" {
		t.Errorf("after an edit: %+v", got)
	}
	w.update("stripe", func(d *Draft) { d.Auth.ExpiresOn = new("2028-12-01") })
	if got, present := of("default"), found(); got.ExpiresOn != "2028-12-01" || present.Version != c.Version+1 {
		t.Errorf("by an edit: %+v, version %d", got, present.Version)
	}
	must(t, only(w.PutAccount(t.Context(), admin(), "stripe", "acme", Auth{Fields: d.Auth.Fields, ExpiresOn: new("2026-11-24")}, "")))
	if got := of("acme"); got.ExpiresOn != "2026-11-24" {
		t.Errorf("another account: %+v", got)
	}
	all, err := w.Expiries(t.Context(), admin())
	must(t, err)
	ends := make([]string, 0, len(all))
	for _, e := range all {
		ends = append(ends, e.Slug+" "+e.Account+" "+e.What+" "+e.At.Format("2006-01-02"))
	}
	if diff := cmp.Diff([]string{"stripe acme secret 2026-11-24", "stripe default secret 2028-12-01"}, ends); diff != "" {
		t.Error(diff)
	}
	// Another secret has another end, which is none until somebody says it.
	must(t, only(w.PutAccount(t.Context(), admin(), "stripe", "default", Auth{Fields: map[string]string{"token": "another"}}, "")))
	if got := of("default"); got.ExpiresOn != "" {
		t.Errorf("another secret: %+v", got)
	}
	events, _, err := w.History(t.Context(), admin(), "stripe", "default", 0, 50)
	must(t, err)
	var told []string
	for _, e := range events {
		if e.Kind == credentials.EventExpirySet {
			told = append(told, e.Actor.Name+": "+e.Detail)
		}
	}
	want := []string{admin().Name + ": The secret expires on 1 Dec 2028.", admin().Name + ": The secret expires on 1 Dec 2027.", admin().Name + ": The secret expires on 1 Dec 2026."}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
	if n := w.count(`SELECT COUNT(*) FROM audit_entries WHERE action = 'credential.expiry'`); n != 4 {
		t.Errorf("%d entries in the audit log", n)
	}
}

func TestExpiryThatIsNoDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	for text, code := range map[string]string{"2026-11-23": "EXPIRY_IN_THE_PAST", "tomorrow": "INVALID_DATE"} {
		_, err := w.PutAccount(t.Context(), admin(), "stripe", "default", Auth{Fields: map[string]string{"token": "another"}, ExpiresOn: new(text)}, "")
		wantField(t, err, code, "auth.expires_on")
	}
	d := draft("open")
	d.Auth = Auth{Type: "none", ExpiresOn: new("2027-01-01")}
	wantField(t, only(w.Create(t.Context(), admin(), d, "")), "EXPIRY_NOT_APPLICABLE", "auth.expires_on")
	w.wantSent("stripe", "", "Bearer first") // Nothing of it was stored.
}
