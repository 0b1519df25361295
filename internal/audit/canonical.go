package audit

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
)

// row is an entry exactly as the database holds it. Details stay the stored text, so that an edit
// which parses to the same object is still an edit.
type row struct {
	seq, at                          int64
	actorKind, actorID, actorName    string
	action                           string
	targetKind, targetID, targetName string
	reason, details, requestID, ip   string
	mac                              string

	// What searches look at, derived from the above and not part of the MAC.
	actorSearch, targetSearch, search string
	// odd: a column held something else than the schema says, so somebody wrote around it.
	odd bool
}

// fold fills in what searches look at.
func (r *row) fold() {
	r.actorSearch, r.targetSearch = strings.ToLower(r.actorName), strings.ToLower(r.targetName)
	r.search = strings.ToLower(strings.Join([]string{
		r.actorName, r.actorID, r.action, r.targetName, r.targetID, r.reason, r.details, r.requestID, r.ip,
	}, "\n")) // no field contains a line break, so nothing matches across two
}

// folded reports whether the search columns are what they should be.
func (r row) folded() bool {
	want := r
	want.fold()
	return r == want
}

// canonicalVersion starts every canonical form, so that a later form can never be taken for this one.
const canonicalVersion = "switchgear audit v1"

// canonical encodes the row so that two different rows never have the same bytes: numbers have a fixed
// width, every text is preceded by its length, and the order never changes. The MAC is not part of it.
func (r row) canonical() []byte {
	fields := []string{
		canonicalVersion, r.actorKind, r.actorID, r.actorName, r.action, r.targetKind, r.targetID, r.targetName,
		r.reason, r.details, r.requestID, r.ip,
	}
	size := 16
	for _, f := range fields {
		size += 8 + len(f)
	}
	out := make([]byte, 0, size)
	out = binary.BigEndian.AppendUint64(out, uint64(r.seq)) //nolint:gosec // the bit pattern is what is encoded
	out = binary.BigEndian.AppendUint64(out, uint64(r.at))  //nolint:gosec // the bit pattern is what is encoded
	for _, f := range fields {
		out = binary.BigEndian.AppendUint64(out, uint64(len(f)))
		out = append(out, f...)
	}
	return out
}

// decodeMAC returns the bytes of a stored MAC. Nothing stored means the zero MAC before the first entry.
func decodeMAC(text string) ([]byte, error) {
	if text == "" {
		return make([]byte, macSize), nil
	}
	mac, err := hex.DecodeString(text)
	if err != nil {
		return nil, err
	}
	if len(mac) != macSize {
		return nil, errors.New("audit: a MAC has the wrong length")
	}
	return mac, nil
}
