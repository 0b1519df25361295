// Package vaulttest opens vaults for tests of the packages above.
package vaulttest

import (
	"context"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/oauthtest"
	"switchgear/internal/telemetry"
)

// Open returns a vault whose accounts need no authorization server.
func Open(tb testing.TB, store *db.DB, sealer *credentials.Sealer, now func() time.Time) *credentials.Vault {
	tb.Helper()
	v, err := credentials.NewVault(credentials.VaultDeps{
		DB: store, Sealer: sealer, Endpoint: &oauthtest.Endpoint{}, Changed: func(context.Context, string, string) {},
		Key:    func(context.Context) (id, name string) { return "", "" },
		Logger: telemetry.Discard(), Now: now,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}
