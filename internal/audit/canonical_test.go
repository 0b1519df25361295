package audit

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parseCanonical undoes canonical. That it can proves that two rows never share a canonical form.
func parseCanonical(b []byte) (r row, ok bool) {
	if len(b) < 16 {
		return row{}, false
	}
	r.seq, r.at = int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))
	b = b[16:]
	var version string
	for _, f := range []*string{
		&version, &r.actorKind, &r.actorID, &r.actorName, &r.action, &r.targetKind, &r.targetID, &r.targetName,
		&r.reason, &r.details, &r.requestID, &r.ip,
	} {
		if len(b) < 8 {
			return row{}, false
		}
		n := binary.BigEndian.Uint64(b)
		b = b[8:]
		if n > uint64(len(b)) {
			return row{}, false
		}
		*f, b = string(b[:n]), b[n:]
	}
	return r, version == canonicalVersion && len(b) == 0
}

func FuzzCanonical(f *testing.F) {
	f.Add(int64(1), int64(2), "user", "usr_1", "ada", "user.invite", "invitation", "inv_1", "bob", "why", "{}", "req_1", "::1", uint8(3))
	f.Add(int64(-1), int64(0), "", "", "", "", "", "", "", "", "", "", "", uint8(0))
	f.Add(int64(1), int64(2), "a", "b", "", "\x00", "\x00\x00\x00\x00\x00\x00\x00\x01", "", "", "", "", "", "", uint8(7))
	f.Fuzz(func(t *testing.T, seq, at int64, a, b, c, d, e, g, h, i, j, k, l string, shift uint8) {
		r := row{
			seq: seq, at: at, actorKind: a, actorID: b, actorName: c, action: d, targetKind: e, targetID: g, targetName: h,
			reason: i, details: j, requestID: k, ip: l,
		}
		form := r.canonical()
		back, ok := parseCanonical(form)
		if !ok || !cmp.Equal(r, back, cmp.AllowUnexported(row{})) {
			t.Fatalf("%+v became %+v", r, back)
		}
		// Moving bytes from one field to its neighbour is the classic collision.
		moved := r
		n := min(int(shift), len(b))
		moved.actorID, moved.actorName = b[:len(b)-n], b[len(b)-n:]+c
		if n > 0 && bytes.Equal(form, moved.canonical()) {
			t.Fatalf("%+v and %+v have the same form", r, moved)
		}
		if withMAC := r; true {
			withMAC.mac = "ff"
			if !bytes.Equal(form, withMAC.canonical()) {
				t.Fatal("the MAC is part of what it covers")
			}
		}
	})
}

func TestDecodeMAC(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{"": true, "zz": false, "00ff": false, string(bytes.Repeat([]byte("ab"), 32)): true} {
		if mac, err := decodeMAC(text); (err == nil) != ok || ok && len(mac) != macSize {
			t.Errorf("%q: %v", text, err)
		}
	}
}
