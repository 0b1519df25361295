package credentials

import (
	"context"
	"errors"
	"fmt"

	"switchgear/db"
	"switchgear/internal/fault"
)

// MasterRotation is what a rotation of the master key came to.
type MasterRotation struct {
	// From and To are fingerprints.
	From, To string
	// File holds the new key, PreviousFile the one before.
	File, PreviousFile string
}

// RotateMaster replaces the master key in its file and wraps every keyset with the new one. record is called
// within the transaction that does so. No value is sealed anew: what the keysets hold stays as it is.
//
// The files change first and the database after, in one transaction. Wherever the process ends in between,
// the next start finds the key that wraps the keysets, as the present one or as the previous one, and ends the
// rotation.
//
// It returns a fault.Conflict with the code MASTER_KEY_FROM_ENVIRONMENT when the key is not in a file of ours.
func (k *Keyring) RotateMaster(ctx context.Context, record func(ctx context.Context, tx *db.Tx, r MasterRotation) error) (MasterRotation, error) {
	source := k.deps.Source
	if !source.Value.IsZero() {
		return MasterRotation{}, fault.New(fault.Conflict, "MASTER_KEY_FROM_ENVIRONMENT",
			"The master key comes from the environment (SWITCHGEAR_KEY), which a process cannot change.").
			WithSuggestion("Make a new key (openssl rand -base64 32), set SWITCHGEAR_KEY to it and SWITCHGEAR_KEY_PREVIOUS to the present one, and restart: the start wraps every keyset with the new key. Keep the present one for older backups.")
	}
	k.changing.Lock()
	defer k.changing.Unlock()
	old := k.master.Load()
	next, err := k.nextMaster(source, old)
	if err != nil {
		return MasterRotation{}, err
	}
	master, err := newMasterState(next)
	if err != nil {
		return MasterRotation{}, err
	}
	k.step("files changed")
	done := MasterRotation{From: old.fingerprint, To: master.fingerprint, File: source.File, PreviousFile: source.previousFile()}
	master.previous = append([]string{old.fingerprint}, old.previous...)
	k.next.Store(master)
	err = k.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		if err := k.rewrap(ctx, tx, old, master); err != nil {
			return err
		}
		k.step("wrapped")
		return record(ctx, tx, done)
	})
	if err != nil {
		return MasterRotation{}, fmt.Errorf("credentials: rotate the master key: %w", err)
	}
	k.step("stored")
	k.master.Store(master)
	return done, nil
}

// nextMaster puts a new key into the key file and the present one beside it. When that has happened already,
// and only the database was not reached, it returns the key that is in the file.
func (k *Keyring) nextMaster(source KeySource, old *masterState) (masterKey, error) {
	inFile, err := readMasterKey(source.File)
	if errors.Is(err, errNoMasterKey) {
		return masterKey{}, unusable(source.File, "is missing; put it back before you rotate it", nil)
	}
	if err != nil {
		return masterKey{}, err
	}
	before, beforeErr := readMasterKey(source.previousFile())
	if inFile.fingerprint() != old.fingerprint {
		if beforeErr == nil && before.fingerprint() == old.fingerprint {
			return inFile, nil
		}
		return masterKey{}, fault.Newf(fault.Conflict, "the key file %s holds %s, but %s is in use; put the right key back", source.File, inFile.fingerprint(), old.fingerprint)
	}
	switch {
	case errors.Is(beforeErr, errNoMasterKey):
	case beforeErr != nil:
		return masterKey{}, beforeErr // It may be a key that a backup needs: it is not written over.
	case before.fingerprint() != old.fingerprint:
		if err := replaceKeyFile(source.keptFile(before.fingerprint()), before); err != nil {
			return masterKey{}, err
		}
		k.step("older key kept")
	}
	if err := replaceKeyFile(source.previousFile(), old.key); err != nil {
		return masterKey{}, err
	}
	k.step("previous key kept")
	next := newMasterKey()
	if err := replaceKeyFile(source.File, next); err != nil {
		return masterKey{}, err
	}
	return next, nil
}

// rewrap wraps every keyset that one master key wraps with another one.
func (k *Keyring) rewrap(ctx context.Context, tx *db.Tx, from, to *masterState) error {
	rows, err := loadKeysets(ctx, tx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		p := Purpose(row.purpose)
		handle, err := unwrap(from.wrapper, row.wrapped, k.installation, p)
		if err != nil {
			return fmt.Errorf("credentials: unwrap keyset %s: %w", p, err)
		}
		wrapped, err := wrap(to.wrapper, handle, k.installation, p)
		if err != nil {
			return fmt.Errorf("credentials: wrap keyset %s: %w", p, err)
		}
		if err := updateKeyset(ctx, tx, row.wrapped, keysetRow{row.purpose, wrapped, to.fingerprint}, k.deps.Now()); err != nil {
			return err
		}
	}
	return nil
}
