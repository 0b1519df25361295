package idempotency

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// sealedForm begins the stored form of a body.
const sealedForm = "v1."

// seal encrypts the body of an answer: it may hold what is told once, such as a link that connects an account.
// The key is made from the request by the MAC, so that the database alone opens nothing.
func (s *Service) seal(scope, key string, body []byte) (string, error) {
	box, place, err := s.box(scope, key)
	if err != nil {
		return "", err
	}
	return sealedForm + base64.StdEncoding.EncodeToString(box.Seal(nil, nil, body, place)), nil //nolint:gosec // G407: it makes its nonces itself and takes none.
}

// open is the reverse of seal. What an older release kept is as it is, until it is forgotten after a day.
func (s *Service) open(scope, key, stored string) ([]byte, error) {
	text, sealed := strings.CutPrefix(stored, sealedForm)
	if !sealed {
		return []byte(stored), nil
	}
	box, place, err := s.box(scope, key)
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		raw, err = box.Open(nil, nil, raw, place)
	}
	if err != nil {
		return nil, fmt.Errorf("idempotency: the kept answer does not open: %w", err)
	}
	return raw, nil
}

func (s *Service) box(scope, key string) (cipher.AEAD, []byte, error) {
	place := []byte("switchgear answer v1\x00" + scope + "\x00" + key)
	secret := sha256.Sum256(s.mac(place))
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		return nil, nil, fmt.Errorf("idempotency: %w", err)
	}
	box, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, nil, fmt.Errorf("idempotency: %w", err)
	}
	return box, place, nil
}
