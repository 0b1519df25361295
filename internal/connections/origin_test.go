package connections

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

const (
	home  = "https://api.example.com"
	other = "https://collect.example.net"
)

// states are those of the accounts of a connection.
func (w *world) states(slug string) map[string]string {
	w.t.Helper()
	list, err := w.Accounts(w.t.Context(), admin(), slug)
	must(w.t, err)
	out := map[string]string{}
	for _, c := range list {
		out[c.Account] = c.State
	}
	return out
}

// wantRefused wants a call to be refused because its secret is for another origin.
func (w *world) wantRefused(slug, account string) {
	w.t.Helper()
	_, target, err := w.call(slug, account)
	wantCode(w.t, err, fault.Unavailable, "CREDENTIAL_OTHER_ORIGIN")
	if target.Authorize != nil || target.Transport != nil {
		w.t.Error("the refusal comes with what sends the secret")
	}
}

// Every way to change where a connection goes to leaves its secrets behind.
func TestSecretsDoNotFollowTheAddress(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(w *world) error{
		"edited": func(w *world) error {
			return only(w.Update(w.t.Context(), admin(), "stripe", Draft{BaseURL: other}, "", 0))
		},
		"another port": func(w *world) error {
			return only(w.Update(w.t.Context(), admin(), "stripe", Draft{BaseURL: home + ":80"}, "", 0))
		},
		"without TLS": func(w *world) error {
			return only(w.Update(w.t.Context(), admin(), "stripe", Draft{BaseURL: "http://api.example.com"}, "", 0))
		},
		"with a change of the rest": func(w *world) error {
			return only(w.Update(w.t.Context(), admin(), "stripe", Draft{BaseURL: other, Name: "New", Policy: json.RawMessage(`{"timeout":"3s"}`)}, "", 0))
		},
		"replaced": func(w *world) error {
			return only(w.Replace(w.t.Context(), admin(), "stripe", Draft{Name: "x", BaseURL: other, Auth: Auth{Type: "bearer"}}, "", 0))
		},
		"another provider": func(w *world) error {
			return only(w.Replace(w.t.Context(), admin(), "stripe", Draft{Name: "x", Provider: "acme", Auth: Auth{Type: "bearer"}}, "", 0))
		},
		"rolled back": func(w *world) error {
			// Somebody with a secret of their own was there before.
			d := draft("stripe")
			d.BaseURL, d.Auth.Fields = other, map[string]string{"token": "theirs"}
			must(w.t, only(w.Update(w.t.Context(), admin(), "stripe", d, "", 0)))
			d.BaseURL, d.Auth.Fields = home, map[string]string{"token": "first"}
			must(w.t, only(w.Update(w.t.Context(), admin(), "stripe", d, "", 0)))
			d.BaseURL, d.Auth.Fields = other, nil
			must(w.t, only(w.Update(w.t.Context(), admin(), "stripe", d, "", 0)))
			must(w.t, only(w.Activate(w.t.Context(), w.user(access.RoleOperator), "stripe", 3, "", 0)))
			w.wantSent("stripe", "", "Bearer first")
			return only(w.Activate(w.t.Context(), w.user(access.RoleOperator), "stripe", 4, "", 0))
		},
		"copied and edited": func(w *world) error {
			must(w.t, only(w.Duplicate(w.t.Context(), admin(), "stripe", "copy", "")))
			w.wantSent("copy", "", "Bearer first")
			must(w.t, only(w.Update(w.t.Context(), admin(), "copy", Draft{BaseURL: other}, "", 0)))
			w.wantRefused("copy", "")
			must(w.t, only(w.Duplicate(w.t.Context(), admin(), "copy", "again", "")))
			w.wantRefused("again", "")
			return only(w.Update(w.t.Context(), admin(), "stripe", Draft{BaseURL: other}, "", 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.create("stripe")
			must(t, only(w.PutAccount(t.Context(), admin(), "stripe", "zoe", Auth{Fields: map[string]string{"token": "z"}}, "")))
			must(t, move(w))
			for _, account := range []string{"default", "zoe"} {
				w.wantRefused("stripe", account)
			}
			if diff := cmp.Diff(map[string]string{"default": credentials.StateOtherOrigin, "zoe": credentials.StateOtherOrigin}, w.states("stripe")); diff != "" {
				t.Error(diff)
			}
			standings, err := w.Standings(admin())
			must(t, err)
			for _, s := range standings {
				if s.Slug == "stripe" && fault.CodeOf(s.Problem) != "CREDENTIAL_OTHER_ORIGIN" {
					t.Errorf("its standing is %v", s.Problem)
				}
			}
			// Nor do they after a restart, or when everything is read again.
			must(t, w.Refresh(t.Context()))
			w.wantRefused("stripe", "")
			next, err := New(t.Context(), w.deps)
			must(t, err)
			_, err = next.Target("stripe", "zoe")
			wantCode(t, err, fault.Unavailable, "CREDENTIAL_OTHER_ORIGIN")
		})
	}
}

// unbind leaves the credentials as a release before origins stored them.
func (w *world) unbind() {
	w.t.Helper()
	must(w.t, w.db.InTx(w.t.Context(), func(tx *db.Tx) error {
		type stored struct {
			place  credentials.AAD
			sealed string
		}
		var all []stored
		err := each(w.t.Context(), tx, func(s scanner) error {
			v := stored{place: credentials.AAD{Table: "credential_versions", Column: "sealed"}}
			err := s.Scan(&v.place.Row, &v.place.Version, &v.place.Owner, &v.place.Account, &v.place.Origin, &v.sealed)
			all = append(all, v)
			return err
		}, `SELECT v.credential_id, v.version, c.connection_id, c.account, v.origin, v.sealed
			FROM credential_versions v JOIN credentials c ON c.id = v.credential_id`)
		if err != nil {
			return err
		}
		for _, v := range all {
			plaintext, err := w.sealer.Open(v.place, v.sealed)
			if err != nil {
				return err
			}
			v.place.Origin = ""
			sealed, _, err := w.sealer.Seal(v.place, plaintext)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(w.t.Context(), `UPDATE credential_versions SET origin = '', sealed = $3 WHERE credential_id = $1 AND version = $2`,
				v.place.Row, v.place.Version, sealed); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestBackAtTheOldAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	must(t, only(w.PutAccount(t.Context(), admin(), "stripe", "zoe", Auth{Fields: map[string]string{"token": "z"}}, "")))
	must(t, only(w.Update(t.Context(), admin(), "stripe", Draft{BaseURL: home + "/v2"}, "", 0)))
	w.wantSent("stripe", "zoe", "Bearer z") // another path of the same origin
	w.wantSent("stripe", "", "Bearer first")

	must(t, only(w.Update(t.Context(), admin(), "stripe", Draft{BaseURL: other}, "", 0)))
	w.wantRefused("stripe", "zoe")
	preview, err := w.Preview(t.Context(), admin(), "stripe", 2)
	must(t, err)
	if diff := cmp.Diff(Move{From: other, To: home, Back: []string{"default", "zoe"}}, preview.Move); diff != "" {
		t.Error(diff)
	}
	must(t, only(w.Activate(t.Context(), admin(), "stripe", 2, "", 0)))
	w.wantSent("stripe", "zoe", "Bearer z")
	w.wantSent("stripe", "", "Bearer first")

	// Entered again for the other address, the one before still comes back with a rollback.
	must(t, only(w.Update(t.Context(), admin(), "stripe", Draft{BaseURL: other, Auth: Auth{Fields: map[string]string{"token": "first"}}}, "", 0)))
	w.wantSent("stripe", "", "Bearer first")
	w.wantRefused("stripe", "zoe")
	stored, err := w.PutAccount(t.Context(), admin(), "stripe", "zoe", Auth{Fields: map[string]string{"token": "z"}}, "")
	must(t, err)
	if stored.State != credentials.StateActive {
		t.Errorf("%+v", stored)
	}
	w.wantSent("stripe", "zoe", "Bearer z")
	preview, err = w.Preview(t.Context(), admin(), "stripe", 2)
	must(t, err)
	if diff := cmp.Diff(Move{From: other, To: home, Refused: []string{"zoe"}}, preview.Move); diff != "" {
		t.Error(diff)
	}
	must(t, only(w.Activate(t.Context(), admin(), "stripe", 2, "", 0)))
	w.wantSent("stripe", "", "Bearer first")
	w.wantRefused("stripe", "zoe")
}

func TestPreviewUpdate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	must(t, only(w.PutAccount(t.Context(), admin(), "stripe", "zoe", Auth{Fields: map[string]string{"token": "z"}}, "")))
	for name, c := range map[string]struct {
		draft Draft
		want  Move
	}{
		"no change":    {Draft{}, Move{From: home, To: home}},
		"another path": {Draft{BaseURL: home + "/v2"}, Move{From: home, To: home}},
		"moved":        {Draft{BaseURL: other}, Move{From: home, To: other, Refused: []string{"default", "zoe"}}},
		"entered":      {Draft{BaseURL: other, Auth: Auth{Fields: map[string]string{"token": "new"}}}, Move{From: home, To: other, Refused: []string{"zoe"}}},
		"another type": {Draft{BaseURL: other, Auth: Auth{Type: "none"}}, Move{From: home, To: other, Refused: []string{"zoe"}}},
	} {
		move, err := w.PreviewUpdate(t.Context(), admin(), "stripe", c.draft)
		must(t, err)
		if diff := cmp.Diff(c.want, move); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	_, err := w.PreviewUpdate(t.Context(), admin(), "stripe", Draft{BaseURL: "ftp://x"})
	wantField(t, err, "INVALID_BASE_URL", "base_url")
	_, err = w.PreviewUpdate(t.Context(), w.user(access.RoleOperator), "stripe", Draft{})
	wantCode(t, err, fault.Forbidden, fault.CodeOf(err))
	w.wantSent("stripe", "", "Bearer first")
	if c, err := w.Find(t.Context(), admin(), "stripe"); err != nil || c.Version != 1 {
		t.Errorf("a preview was stored: %+v, %v", c, err)
	}
}

func TestConsentIsForItsAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := draft("stripe")
	d.Auth = Auth{Type: "oauth2_authorization_code", Fields: map[string]string{
		"authorize_url": "https://as.example.com/authorize", "token_url": "https://as.example.com/token", "client_id": "c", "client_secret": "s",
	}}
	must(t, only(w.Create(t.Context(), admin(), d, "")))
	connect := func(account string) {
		t.Helper()
		must(t, only(w.ConnectAccount(t.Context(), admin(), "stripe", account, Consented{Token: oauth.Token{Access: "t-" + account, ExpiresIn: time.Hour}, Event: credentials.EventConnected})))
	}
	connect("default")
	connect("zoe")
	must(t, only(w.Update(t.Context(), admin(), "stripe", Draft{BaseURL: other}, "", 0)))
	w.wantRefused("stripe", "default")
	w.wantRefused("stripe", "zoe")
	connect("zoe") // again, for the new address; the client is known to its server and needs no secret again
	w.wantSent("stripe", "zoe", "Bearer t-zoe")
	w.wantRefused("stripe", "default")
	must(t, only(w.Activate(t.Context(), admin(), "stripe", 1, "", 0)))
	w.wantSent("stripe", "default", "Bearer t-default")
	w.wantRefused("stripe", "zoe")
}

// What was begun for another address than the connection goes to by now is not stored.
func TestNothingIsStoredForAnotherAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	at := credentials.OriginOf(draft("stripe").BaseURL)
	must(t, only(w.Update(t.Context(), admin(), "stripe", Draft{BaseURL: other}, "", 0)))
	_, err := w.PutAccount(t.Context(), admin(), "stripe", "zoe", Auth{Fields: map[string]string{"token": "z"}, Origin: at}, "")
	wantCode(t, err, fault.Conflict, "CONNECTION_MOVED")
	_, err = w.ConnectAccount(t.Context(), admin(), "stripe", "zoe", Consented{Token: oauth.Token{Access: "t"}, Origin: at, Event: credentials.EventConnected})
	wantCode(t, err, fault.Conflict, "CONNECTION_MOVED")
	if accounts, err := w.Accounts(t.Context(), admin(), "stripe"); err != nil || len(accounts) != 1 {
		t.Errorf("%d accounts, %v", len(accounts), err)
	}
	must(t, only(w.PutAccount(t.Context(), admin(), "stripe", "zoe", Auth{Fields: map[string]string{"token": "z"}, Origin: credentials.OriginOf(other)}, "")))
	w.wantSent("stripe", "zoe", "Bearer z")
}

// An installation from before there were origins: what is stored is for where its connection went to.
func TestUpgradeBindsStoredSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	must(t, only(w.PutAccount(t.Context(), admin(), "stripe", "zoe", Auth{Fields: map[string]string{"token": "z"}}, "")))
	d := draft("stripe")
	d.BaseURL, d.Auth.Fields = other, map[string]string{"token": "second"}
	must(t, only(w.Update(t.Context(), admin(), "stripe", d, "", 0)))
	// As the release before left them: sealed without an origin.
	w.unbind()
	next, err := New(t.Context(), w.deps)
	must(t, err)
	w.Service = next
	w.wantSent("stripe", "", "Bearer second")
	w.wantSent("stripe", "zoe", "Bearer z") // it was used there before the upgrade
	must(t, only(w.Activate(t.Context(), admin(), "stripe", 1, "", 0)))
	w.wantSent("stripe", "", "Bearer first")
	w.wantRefused("stripe", "zoe")
}
