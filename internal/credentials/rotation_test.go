package credentials

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"switchgear/db"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/credentials/oauthtest"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// installation is a data directory with the master key beside it, and what works on them.
type installation struct {
	dir     string
	source  KeySource
	db      *db.DB
	ring    *Keyring
	rotator *Rotator
	vault   *Vault
	moved   atomic.Int64 // added to the time of the rotator
}

func installationIn(dir string) *installation {
	return &installation{dir: dir, source: KeySource{File: filepath.Join(dir, "switchgear.key")}}
}

// open opens the data directory. Batches are small, so that there are many moments to be killed in.
func (i *installation) open(ctx context.Context) (err error) {
	if i.db, err = db.Open(ctx, db.Config{Dir: filepath.Join(i.dir, "data")}); err != nil {
		return err
	}
	i.ring, err = OpenKeyring(ctx, Deps{DB: i.db, Source: i.source, Logger: telemetry.Discard(), Now: time.Now})
	if err != nil {
		return errors.Join(err, i.close()) //nolint:contextcheck // Close takes none.
	}
	i.rotator, err = NewRotator(RotatorDeps{
		DB: i.db, Keyring: i.ring, Progress: func() {}, Logger: telemetry.Discard(),
		Now: func() time.Time { return time.Now().Add(time.Duration(i.moved.Load())) },
	}, RotatorConfig{Batch: 5, Pause: time.Microsecond})
	if err != nil {
		return err
	}
	sealer, err := i.ring.Sealer(PurposeCredential)
	if err != nil {
		return err
	}
	i.vault, err = NewVault(VaultDeps{
		DB: i.db, Sealer: sealer, Endpoint: &oauthtest.Endpoint{}, Key: callingKey, Changed: func(context.Context, string, string) {},
		Logger: telemetry.Discard(), Now: time.Now,
	})
	return err
}

func (i *installation) close() error { return i.db.Close() }

func (i *installation) begin(ctx context.Context) error {
	var committed func()
	err := i.db.InTx(ctx, func(tx *db.Tx) (err error) {
		committed, err = i.rotator.Begin(ctx, tx, "test")
		return err
	})
	if err == nil {
		committed()
	}
	return err
}

// values returns the plaintext of everything that is sealed, by table, row and version.
func (i *installation) values(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	for _, c := range sealedColumns() {
		all, err := c.after(ctx, i.db, 0, "", -1, 100_000)
		if err != nil {
			return nil, err
		}
		for _, v := range all {
			plaintext, err := i.rotator.sealer.Open(c.place(v), v.sealed)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", c.label, v.row, err)
			}
			out[fmt.Sprint(c.label, " ", v.row, " ", v.version)] = string(plaintext)
		}
	}
	return out, nil
}

const connectionInsert = `INSERT INTO connections (id, slug, version, created_at, updated_at, name_key, kind, provider, environment, state, search_key)
	VALUES ('con_1', 'con_1', 1, 0, 0, '', 'rest', '', '', 'active', '')`

// filled returns an open installation with values of every kind.
func filled(t *testing.T) *installation {
	t.Helper()
	i := installationIn(t.TempDir())
	i.reopen(t)
	t.Cleanup(func() { _ = i.db.Close() })
	dbtest.Exec(t, i.db, connectionInsert)
	i.tx(t, func(ctx context.Context, tx *db.Tx) error {
		for n := range 12 {
			account := "a" + strconv.Itoa(n)
			for version := range 3 {
				if _, err := i.vault.Put(ctx, tx, holderOf(account), "bearer", map[string]string{"token": fmt.Sprint(canary, account, version)}); err != nil {
					return err
				}
			}
		}
		for n := range 7 {
			account := "o" + strconv.Itoa(n)
			if _, err := i.vault.Put(ctx, tx, holderOf(account), "oauth2_authorization_code", map[string]string{
				"authorize_url": "https://as.example.com/authorize", "token_url": "https://as.example.com/token", "client_id": "c", "client_secret": canary,
			}); err != nil {
				return err
			}
			c, err := i.vault.PutToken(ctx, tx, holderOf(account), oauth.Token{Access: canary + account, Refresh: canary + "refresh", ExpiresIn: time.Hour})
			if err != nil {
				return err
			}
			// A renewal leaves the token before beside the present one.
			r, err := i.vault.store.byID(ctx, tx, c.ID)
			if err != nil {
				return err
			}
			next, err := i.vault.sealToken(r, oauth.Token{Access: canary + "next", ExpiresIn: time.Hour}, tokenSecrets{})
			if err != nil {
				return err
			}
			if _, err := i.vault.store.replaceToken(ctx, tx, r.ID, r.token.version, next); err != nil {
				return err
			}
		}
		if err := i.rolling(ctx, tx); err != nil {
			return err
		}
		return i.others(ctx, tx)
	})
	return i
}

// rolling stores credentials that are being rotated: r0 to r3 are staged, and r0 is switched and r1 rolled back.
func (i *installation) rolling(ctx context.Context, tx *db.Tx) error {
	by := Actor{Name: "test"}
	for n := range 4 {
		account := "r" + strconv.Itoa(n)
		if _, err := i.vault.Put(ctx, tx, holderOf(account), "bearer", map[string]string{"token": canary + account}); err != nil {
			return err
		}
		if _, err := i.vault.Stage(ctx, tx, holderOf(account), map[string]string{"token": newCanary + account}, "", by); err != nil {
			return err
		}
		if n > 1 {
			continue
		}
		if _, _, err := i.vault.Switch(ctx, tx, "con_1", account, Switchover{Anyway: true, Reason: "test"}, by); err != nil {
			return err
		}
	}
	_, _, err := i.vault.RollBack(ctx, tx, "con_1", "r1", 0, by)
	return err
}

// others stores values of the tables that belong to packages above.
func (i *installation) others(ctx context.Context, tx *db.Tx) error {
	seal := func(place AAD) (string, int64) {
		sealed, key, err := i.rotator.sealer.Seal(place, []byte(canary+place.Table+place.Row))
		if err != nil {
			return "", 0
		}
		return sealed, int64(key)
	}
	sealed, key := seal(AAD{Table: "demo", Row: "demo", Column: "sealed"})
	if _, err := tx.Exec(ctx, `INSERT INTO demo (id, state, loaded_at, loaded_by, port, connections, key_id, sealed, sealed_key)
		VALUES ('demo', 'on', 0, '', 1, '[]', '', $1, $2)`, sealed, key); err != nil {
		return err
	}
	for n := range 6 {
		id := "ach_" + strconv.Itoa(n)
		sealed, key = seal(AAD{Table: "alert_channels", Row: id, Column: "sealed", Version: 4})
		if _, err := tx.Exec(ctx, `INSERT INTO alert_channels (id, name, kind, enabled, disabled_reason, settings, sealed, key_id, secret_names, version, last_error, created_at, updated_at)
			VALUES ($1, $1, 'webhook', 1, '', '{}', $2, $3, '[]', 4, '', 0, 0)`, id, sealed, key); err != nil {
			return err
		}
		id = "ofl_" + strconv.Itoa(n)
		sealed, key = seal(AAD{Table: "oauth_flows", Row: id, Column: "sealed", Owner: "con_1", Account: "default", Version: 1})
		if n == 0 {
			sealed = "" // one that has ended keeps the id of the key, and nothing that is sealed
		}
		if _, err := tx.Exec(ctx, `INSERT INTO oauth_flows (id, state_hash, binding_hash, connection_id, account, provider, grant_kind, sealed, key_id, settings,
				actor_kind, actor_id, actor_name, status, step, error_code, error_text, created_at, expires_at)
			VALUES ($1, $1, '', 'con_1', 'default', '', '', $2, $3, '{}', '', '', '', 'pending', '', '', '', 0, 0)`, id, sealed, key); err != nil {
			return err
		}
	}
	return nil
}

func (i *installation) tx(t *testing.T, fn func(ctx context.Context, tx *db.Tx) error) {
	t.Helper()
	if err := i.db.InTx(t.Context(), func(tx *db.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

func (i *installation) reopen(t *testing.T) {
	t.Helper()
	if i.db != nil {
		if err := i.db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := i.open(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (i *installation) wantValues(t *testing.T, when string, want map[string]string) {
	t.Helper()
	got, err := i.values(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", when, diff)
	}
}

func (i *installation) mustValues(t *testing.T) map[string]string {
	t.Helper()
	values, err := i.values(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func (i *installation) status(t *testing.T) KeyStatus {
	t.Helper()
	s, err := i.rotator.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (i *installation) rotate(t *testing.T) {
	t.Helper()
	if err := i.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := i.rotator.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A table that gets sealed values must be named in sealedColumns, or a rotation would leave them behind and
// disable their key.
func TestEverySealedColumnIsRegistered(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	rows, err := d.Query(t.Context(), `SELECT m.name, p.name, p.type FROM sqlite_master m JOIN pragma_table_info(m.name) p
		WHERE m.type = 'table' AND (p.name = 'sealed' OR p.name LIKE 'sealed%' OR p.name LIKE '%key_id') ORDER BY m.name, p.cid`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	known := map[string]bool{
		"calls.key_id": true, "demo.key_id": true, // those of API keys
		"data_keys.key_id": true, "key_rotations.key_id": true, // about keys, nothing sealed
	}
	for _, c := range sealedColumns() {
		known[c.table+"."+c.value], known[c.table+"."+c.key] = true, true
	}
	seen := 0
	for rows.Next() {
		var table, column, kind string
		if err := rows.Scan(&table, &column, &kind); err != nil {
			t.Fatal(err)
		}
		seen++
		if !known[table+"."+column] {
			t.Errorf("%s.%s holds what is sealed, or the id of its key, and is not in sealedColumns", table, column)
		}
	}
	if err := rows.Err(); err != nil || seen < 10 {
		t.Fatalf("%d columns seen, %v", seen, err)
	}
}

func TestRotationSealsEverythingAnew(t *testing.T) {
	t.Parallel()
	i := filled(t)
	before := i.mustValues(t)
	old := i.rotator.sealer.primary()
	held := i.loadSet(t)

	i.rotate(t)
	i.wantValues(t, "after the rotation", before)
	s := i.status(t)
	if s.Done != s.Total || s.Total != int64(len(before)) || s.Last.State != RotationDone || s.Last.Failed != 0 || s.Last.Total != s.Total {
		t.Errorf("%d of %d, %+v", s.Done, s.Total, s.Last)
	}
	if len(s.Keys) != 2 || !s.Keys[0].Primary || s.Keys[0].ID == old || s.Keys[1].ID != old || !s.Keys[1].Disabled || s.Keys[1].Values != 0 || s.Keys[1].ReplacedAt.IsZero() {
		t.Errorf("keys %+v", s.Keys)
	}
	// What was loaded before the key was disabled still works in this process.
	wantSent(t, held, "a3", "Bearer "+canary+"a32")

	// A second rotation does not take the first key from this process.
	i.rotate(t)
	wantSent(t, held, "a3", "Bearer "+canary+"a32")
	i.wantValues(t, "after two rotations", before)
	i.reopen(t)
	i.wantValues(t, "after a restart", before)
	wantSent(t, i.loadSet(t), "a3", "Bearer "+canary+"a32")
}

func (i *installation) loadSet(t *testing.T) *Set {
	t.Helper()
	var set *Set
	i.tx(t, func(ctx context.Context, tx *db.Tx) (err error) {
		set, err = i.vault.Load(ctx, tx, "con_1")
		set = set.At(upstream)
		return err
	})
	return set
}

func TestRotationFilesHoldNoPlaintext(t *testing.T) {
	t.Parallel()
	i := filled(t)
	i.rotate(t)
	if _, err := i.rotateMaster(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := i.db.Close(); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(i.source.File)
	if err != nil {
		t.Fatal(err)
	}
	text := filesText(t, filepath.Join(i.dir, "data"))
	for _, form := range []string{canary, hex.EncodeToString([]byte(canary)), strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(canary)), "=")[:20], strings.TrimSpace(string(key))} {
		if strings.Contains(text, form) {
			t.Errorf("found %s", form)
		}
	}
}

// Writers and readers go on while values are sealed anew, and whatever they stored last is what is there.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	i := filled(t)
	stop := make(chan struct{})
	var group sync.WaitGroup
	last := make([]string, 4)
	for n := range last {
		group.Go(func() {
			account := "a" + strconv.Itoa(n)
			for round := range 400 {
				select {
				case <-stop:
					return
				default:
				}
				value := fmt.Sprint(canary, "-", n, "-", round)
				err := i.db.InTx(t.Context(), func(tx *db.Tx) error {
					_, err := i.vault.Put(t.Context(), tx, holderOf(account), "bearer", map[string]string{"token": value})
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				last[n] = value
				if got, err := sent(t, i.loadSet(t), account); err != nil || got != "Bearer "+value {
					t.Errorf("%s reads %q, %v", account, got, err)
					return
				}
			}
		})
	}
	for range 3 {
		i.rotate(t)
	}
	close(stop)
	group.Wait()
	if err := i.rotator.Work(t.Context()); err != nil { // what came while the last one ended
		t.Fatal(err)
	}
	if s := i.status(t); s.Done != s.Total || s.Last.State != RotationDone {
		t.Errorf("%d of %d, %+v", s.Done, s.Total, s.Last)
	}
	i.reopen(t)
	i.mustValues(t)
	set := i.loadSet(t)
	for n, value := range last {
		if value != "" {
			wantSent(t, set, "a"+strconv.Itoa(n), "Bearer "+value)
		}
	}
}

// A value that somebody changed after it was read is not written over.
func TestSwapLosesToAChange(t *testing.T) {
	t.Parallel()
	i := filled(t)
	channels := sealedColumns()[3]
	read, err := channels.after(t.Context(), i.db, 0, "", -1, 1)
	if err != nil || len(read) != 1 {
		t.Fatal(read, err)
	}
	dbtest.Exec(t, i.db, `UPDATE alert_channels SET sealed = 'changed' WHERE id = $1`, read[0].row)
	swapped, failed, err := i.rotator.seal(t.Context(), channels, read)
	if err != nil || swapped != 0 || failed != 0 {
		t.Errorf("%d swapped, %d failed, %v", swapped, failed, err)
	}
	var now string
	if err := i.db.QueryRow(t.Context(), `SELECT sealed FROM alert_channels WHERE id = $1`, read[0].row).Scan(&now); err != nil || now != "changed" {
		t.Errorf("%q, %v", now, err)
	}
}

// A value that does not open is left as it is; its key stays enabled, and the rotation ends and says so.
func TestRotationLeavesWhatDoesNotOpen(t *testing.T) {
	t.Parallel()
	i := filled(t)
	old := i.rotator.sealer.primary()
	dbtest.Exec(t, i.db, `UPDATE alert_channels SET version = 9 WHERE id = 'ach_1'`)
	i.rotate(t)
	s := i.status(t)
	if s.Last.State != RotationDone || s.Last.Failed != 1 || s.Total-s.Done != 1 || s.Keys[1].ID != old || s.Keys[1].Disabled || s.Keys[1].Values != 1 {
		t.Errorf("%+v, keys %+v", s.Last, s.Keys)
	}
	// Put right, it is sealed anew by the next look, and the next rotation disables both keys.
	dbtest.Exec(t, i.db, `UPDATE alert_channels SET version = 4 WHERE id = 'ach_1'`)
	i.rotate(t)
	if s := i.status(t); s.Done != s.Total || !s.Keys[1].Disabled || !s.Keys[2].Disabled {
		t.Errorf("%+v, keys %+v", s.Last, s.Keys)
	}
}

func TestRotationPauses(t *testing.T) {
	t.Parallel()
	i := filled(t)
	turn := func(fn func(ctx context.Context, tx *db.Tx) error) error {
		return i.db.InTx(t.Context(), func(tx *db.Tx) error { return fn(t.Context(), tx) })
	}
	wantCode(t, turn(i.rotator.Pause), fault.Conflict, "NO_SUCH_ROTATION")
	if err := i.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	batches := 0
	i.rotator.step = func(name string) {
		if name == "stored" {
			if batches++; batches == 2 {
				if err := turn(i.rotator.Pause); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if err := i.rotator.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := i.status(t)
	if s.Last.State != RotationPaused || s.Done != 10 || batches != 2 {
		t.Errorf("%d done in %d batches, %+v", s.Done, batches, s.Last)
	}
	wantCode(t, i.begin(t.Context()), fault.Conflict, "ROTATION_UNDER_WAY")
	// New values are sealed with the new key all the same, and a restart does not resume by itself.
	i.reopen(t)
	if err := i.rotator.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := i.status(t); s.Last.State != RotationPaused || s.Done != 10 {
		t.Errorf("%d done, %+v", s.Done, s.Last)
	}
	if err := turn(i.rotator.Resume); err != nil {
		t.Fatal(err)
	}
	if err := i.rotator.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := i.status(t); s.Last.State != RotationDone || s.Done != s.Total {
		t.Errorf("%d done, %+v", s.Done, s.Last)
	}
}

// A value that was sealed before a rotation and stored after it names a disabled key. Nothing is lost: the
// running process opens it, a restart enables the key again, and it is sealed anew.
func TestLateValueOfADisabledKey(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"running": false, "restarted": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := filled(t)
			place := AAD{Table: "alert_channels", Row: "late", Column: "sealed", Version: 1}
			sealed, key, err := i.rotator.sealer.Seal(place, []byte(canary+"late"))
			if err != nil {
				t.Fatal(err)
			}
			i.rotate(t)
			dbtest.Exec(t, i.db, `INSERT INTO alert_channels (id, name, kind, enabled, disabled_reason, settings, sealed, key_id, secret_names, version, last_error, created_at, updated_at)
				VALUES ('late', 'late', 'webhook', 1, '', '{}', $1, $2, '[]', 1, '', 0, 0)`, sealed, int64(key))
			i.moved.Store(int64(2 * MinRetention))
			i.tx(t, func(ctx context.Context, tx *db.Tx) error {
				n, err := i.rotator.Destroy(ctx, tx, MinRetention)
				if n != 0 {
					t.Errorf("%d keys destroyed that a value names", n)
				}
				return err
			})
			want := i.mustValues(t)
			if restart {
				i.reopen(t)
				i.wantValues(t, "after the restart", want)
				if s := i.status(t); s.Keys[1].Disabled {
					t.Errorf("keys %+v", s.Keys)
				}
			}
			if err := i.rotator.Work(t.Context()); err != nil {
				t.Fatal(err)
			}
			if s := i.status(t); s.Done != s.Total {
				t.Errorf("%d of %d", s.Done, s.Total)
			}
			i.reopen(t)
			i.wantValues(t, "at the end", want)
		})
	}
}

func TestDestroyKeepsToTheRetention(t *testing.T) {
	t.Parallel()
	i := filled(t)
	destroy := func(retention time.Duration) (n int, err error) {
		err = i.db.InTx(t.Context(), func(tx *db.Tx) error {
			n, err = i.rotator.Destroy(t.Context(), tx, retention)
			return err
		})
		return n, err
	}
	i.rotate(t)
	want := i.mustValues(t)
	_, err := destroy(time.Minute)
	wantCode(t, err, fault.Invalid, "RETENTION_TOO_SHORT")
	if n, err := destroy(30 * 24 * time.Hour); n != 0 || err != nil {
		t.Errorf("%d destroyed too early, %v", n, err)
	}
	i.moved.Store(int64(31 * 24 * time.Hour))
	if n, err := destroy(30 * 24 * time.Hour); n != 1 || err != nil {
		t.Errorf("%d destroyed, %v", n, err)
	}
	if s := i.status(t); len(s.Keys) != 1 || s.Destroyed != 1 {
		t.Errorf("%+v", s)
	}
	i.reopen(t)
	i.wantValues(t, "after the key is destroyed", want)
}

// A change that is rolled back has changed nothing, in memory either.
func TestBeginRolledBack(t *testing.T) {
	t.Parallel()
	i := filled(t)
	key := i.rotator.sealer.primary()
	err := i.db.InTx(t.Context(), func(tx *db.Tx) error {
		if _, err := i.rotator.Begin(t.Context(), tx, "test"); err != nil {
			return err
		}
		return fault.Newf(fault.Conflict, "no")
	})
	if err == nil || i.rotator.sealer.primary() != key {
		t.Errorf("key %d, then %d (%v)", key, i.rotator.sealer.primary(), err)
	}
	if diff := cmp.Diff(1, len(i.status(t).Keys), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}
