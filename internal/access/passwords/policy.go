package passwords

import (
	_ "embed"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// The length of a password, in characters. Long passphrases are welcome; the upper bound only keeps
// nonsense out.
const (
	MinLength = 12
	MaxLength = 128
)

// maxAround is how many digits and signs may stand around a common word without making it a better one.
const maxAround = 8

//go:embed common.txt
var commonText string

// Policy decides which passwords are too easy to guess.
type Policy struct{ common map[string]struct{} }

// NewPolicy returns the policy with its list of common passwords.
func NewPolicy() *Policy {
	p := &Policy{common: map[string]struct{}{}}
	for line := range strings.Lines(commonText) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			p.common[line] = struct{}{}
		}
	}
	return p
}

// Check returns a fault.Invalid WEAK_PASSWORD about the field password unless the password is long
// enough and not easy to guess. personal are texts that the password must not consist of: the e-mail
// address and name of its owner.
func (p *Policy) Check(password telemetry.Secret, personal ...string) error {
	text := password.Reveal()
	n := utf8.RuneCountInString(text)
	switch {
	case !utf8.ValidString(text):
		return weak("The password contains bytes that are not text.")
	case n < MinLength:
		return weak("Use at least 12 characters.")
	case n > MaxLength:
		return weak("Use at most 128 characters.")
	}
	lower := strings.ToLower(text)
	switch {
	case period(lower) <= 4:
		return weak("This repeats the same few characters.")
	case sequential(lower):
		return weak("This is a sequence of neighbouring characters or keys.")
	case p.isCommon(lower):
		return weak("This is one of the passwords that are guessed first.")
	case isPersonal(lower, personal):
		return weak("This is your e-mail address, your name or the name of this product.")
	}
	return nil
}

func weak(why string) error {
	return fault.Field("WEAK_PASSWORD", "password", why).
		WithSuggestion("Four or five unrelated words make a good password.")
}

// isCommon looks the password up as it stands, and the word in it without what people add around it.
func (p *Policy) isCommon(lower string) bool {
	return slices.ContainsFunc(cores(lower), func(c string) bool {
		_, ok := p.common[c]
		return ok
	})
}

func isPersonal(lower string, personal []string) bool {
	taken := []string{"switchgear"}
	for _, t := range personal {
		t = strings.ToLower(strings.TrimSpace(t))
		local, domain, isEmail := strings.Cut(t, "@")
		taken = append(taken, t, strings.Join(strings.Fields(t), ""))
		if isEmail {
			company, _, _ := strings.Cut(domain, ".")
			taken = append(taken, local, domain, company, local+company)
		}
	}
	return slices.ContainsFunc(cores(lower), func(c string) bool {
		return utf8.RuneCountInString(c) >= 3 && slices.Contains(taken, c)
	})
}

// cores returns the forms of a password under which it is compared: as it stands and without some of
// the digits and signs around it; each also with disguises undone and without spaces, and as the
// shortest part that it repeats.
func cores(lower string) []string {
	r := []rune(lower)
	lead := slices.IndexFunc(r, unicode.IsLetter)
	if lead < 0 {
		lead = len(r)
	}
	trail := 0
	for trail < len(r) && !unicode.IsLetter(r[len(r)-1-trail]) {
		trail++
	}
	var forms []string
	for i := range min(lead, maxAround) + 1 {
		for j := range min(trail, maxAround-i) + 1 {
			if i+j >= len(r) {
				break
			}
			inner := string(r[i : len(r)-j])
			for _, form := range []string{inner, strings.Join(strings.Fields(inner), ""), undisguise(inner)} {
				forms = append(forms, form, string([]rune(form)[:period(form)]))
			}
		}
	}
	return forms
}

func undisguise(s string) string {
	return strings.NewReplacer("@", "a", "4", "a", "3", "e", "1", "i", "!", "i", "0", "o", "$", "s", "5", "s", "7", "t").Replace(s)
}

// period is the length, in characters, of the shortest part that s repeats (the last time perhaps cut
// short); the length of s when it repeats nothing at least twice.
func period(s string) int {
	r := []rune(s)
	for n := 1; n <= len(r)/2; n++ {
		repeats := true
		for i := n; i < len(r); i++ {
			if r[i] != r[i-n] {
				repeats = false
				break
			}
		}
		if repeats {
			return n
		}
	}
	return len(r)
}

// sequential reports whether every step goes to a neighbour: up or down the alphabet and the digits,
// or along the rows of a keyboard.
func sequential(lower string) bool {
	const (
		ordered = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
		digits  = "012345678901234567890"
		rows    = "1234567890qwertyuiopasdfghjklzxcvbnm1234567890"
	)
	for _, run := range []string{ordered + digits, digits + ordered, rows, digits + digits} {
		if strings.Contains(run, lower) || strings.Contains(reverse(run), lower) {
			return true
		}
	}
	return false
}

func reverse(s string) string {
	r := []rune(s)
	slices.Reverse(r)
	return string(r)
}
