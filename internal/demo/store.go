package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"switchgear/db"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
)

// rowID is the id of the one row.
const rowID = "demo"

// The states of the row.
const (
	stateLoading  = "loading"
	stateOn       = "on"
	stateRemoving = "removing"
)

// row is what is known about the demonstration.
type row struct {
	State       string
	LoadedAt    time.Time
	LoadedBy    string
	Port        int
	Connections []made
	KeyID       string
	sealed      string
	sealedKey   uint32
}

// made is a connection that the demonstration makes. ID is empty before it exists.
type made struct {
	Slug    string `json:"slug"`
	ID      string `json:"id"`
	BaseURL string `json:"base_url"`
}

// secrets are what is sealed in the row.
type secrets struct {
	Shop     string `json:"shop"`
	Payments string `json:"payments"`
	Partner  string `json:"partner"`
	// Key is the API key of the application.
	Key string `json:"key"`
}

func place() credentials.AAD { return credentials.AAD{Table: "demo", Row: rowID, Column: "sealed"} }

func (s *Service) seal(r *row, in secrets) error {
	plain, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r.sealed, r.sealedKey, err = s.deps.Sealer.Seal(place(), plain)
	return err
}

func (s *Service) unseal(r row) (secrets, error) {
	var out secrets
	plain, err := s.deps.Sealer.Open(place(), r.sealed)
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(plain, &out)
}

// store holds all SQL of this package.
type store struct{ db *db.DB }

// find returns the row; false when there is none.
func (s store) find(ctx context.Context) (row, bool, error) {
	var (
		r    row
		at   int64
		list string
	)
	err := s.db.QueryRow(ctx, `SELECT state, loaded_at, loaded_by, port, connections, key_id, sealed, sealed_key FROM demo WHERE id = $1`, rowID).
		Scan(&r.State, &at, &r.LoadedBy, &r.Port, &list, &r.KeyID, &r.sealed, &r.sealedKey)
	if fault.Is(err, fault.NotFound) {
		return r, false, nil
	}
	if err != nil {
		return r, false, fmt.Errorf("read the demonstration: %w", err)
	}
	r.LoadedAt = db.Time(at)
	if err := json.Unmarshal([]byte(list), &r.Connections); err != nil {
		return r, false, fmt.Errorf("read the connections of the demonstration: %w", err)
	}
	return r, true, nil
}

func (s store) insert(ctx context.Context, r row) error {
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		list, err := json.Marshal(r.Connections)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO demo (id, state, loaded_at, loaded_by, port, connections, key_id, sealed, sealed_key)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			rowID, r.State, db.Micros(r.LoadedAt), r.LoadedBy, r.Port, string(list), r.KeyID, r.sealed, r.sealedKey)
		return err
	})
}

func (s store) update(ctx context.Context, r row) error {
	return s.db.InTx(ctx, func(tx *db.Tx) error { return s.updateIn(ctx, tx, r) })
}

func (s store) updateIn(ctx context.Context, tx *db.Tx, r row) error {
	list, err := json.Marshal(r.Connections)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE demo SET state = $2, port = $3, connections = $4, key_id = $5, sealed = $6, sealed_key = $7 WHERE id = $1`,
		rowID, r.State, r.Port, string(list), r.KeyID, r.sealed, r.sealedKey)
	return err
}

func (s store) deleteIn(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM demo WHERE id = $1`, rowID)
	return err
}
