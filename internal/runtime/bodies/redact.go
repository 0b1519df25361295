package bodies

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"switchgear/internal/telemetry"
)

// maxDepth bounds texts within texts, and values within values.
const (
	maxTexts = 4
	maxDepth = 128
)

// redact takes the secrets out of a text: values under names that say so, in JSON, forms, XML and plain
// text; what looks like a credential wherever it stands; and the values in secrets, in any usual encoding.
// cut says that the end of the text is missing. The media type is a hint only: what the text looks like
// counts as well, because senders mislabel.
func redact(text, media string, cut bool, secrets []string) string {
	r := redactor{judge: judge{known: map[string]bool{}, oauth: strings.Contains(text, "grant_type")}, secrets: secrets}
	text = r.text(text, media, 0)
	text = Hide(text, cut, secrets)
	if strings.Contains(text, "eyJ") {
		text = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}`).ReplaceAllString(text, telemetry.Redacted)
	}
	if strings.Contains(text, "PRIVATE KEY-----") {
		text = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`).ReplaceAllString(text, telemetry.Redacted)
	}
	return telemetry.Mask(text)
}

type redactor struct {
	judge

	secrets []string
}

// edit replaces a part of a text.
type edit struct {
	from, to int
	with     string
}

// apply makes the edits. One that lies within another has no effect.
func apply(text string, edits []edit) string {
	if len(edits) == 0 {
		return text
	}
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to)) })
	var out strings.Builder
	at := 0
	for _, e := range edits {
		if e.from < at {
			continue
		}
		out.WriteString(text[at:e.from])
		out.WriteString(e.with)
		at = e.to
	}
	out.WriteString(text[at:])
	return out.String()
}

// text redacts by what the text is.
func (r *redactor) text(text, media string, depth int) string {
	start := strings.TrimLeft(text, " \t\r\n")
	switch {
	case start == "":
		return text
	case strings.HasSuffix(media, "json"), media == "application/x-ndjson", media == "application/jsonl", start[0] == '{', start[0] == '[':
		out, clean := r.json(text, depth)
		if !clean {
			out = r.pairs(out)
		}
		return out
	case media == "text/csv":
		return r.table(text)
	case media == "application/x-www-form-urlencoded":
		return r.pairs(r.form(text, depth))
	case strings.HasSuffix(media, "xml"), start[0] == '<':
		return r.pairs(r.xml(text))
	}
	return r.pairs(r.lines(text, depth))
}

// lines redacts JSON that stands in lines of other text, such as the events of a stream.
func (r *redactor) lines(text string, depth int) string {
	if !strings.ContainsAny(text, "{[") {
		return text
	}
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if at := strings.IndexAny(line, "{["); at >= 0 {
			redacted, _ := r.json(line[at:], depth)
			lines[i] = line[:at] + redacted
		}
	}
	return strings.Join(lines, "")
}

// table keeps a CSV text only if no column is secret: which value belongs to which one cannot be told
// from a part of it.
func (r *redactor) table(text string) string {
	head, _, _ := strings.Cut(text, "\n")
	for name := range strings.FieldsFuncSeq(head, func(c rune) bool { return strings.ContainsRune(",;\t\"\r", c) }) {
		if r.secret(strings.TrimSpace(name)) {
			return strings.TrimRight(head, "\r") + "\n" + telemetry.Redacted
		}
	}
	return r.pairs(text)
}

// form redacts the values of a form. A value can be a text of its own.
func (r *redactor) form(text string, depth int) string {
	fields := strings.Split(text, "&")
	for i, field := range fields {
		name, value, ok := strings.Cut(field, "=")
		if !ok {
			continue
		}
		plain := unescape(name)
		if r.secret(lastPart(plain)) || r.secret(plain) {
			fields[i] = name + "=" + telemetry.Redacted
			continue
		}
		if inner, changed := r.inner(unescape(value), depth); changed {
			fields[i] = name + "=" + strings.ReplaceAll(url.QueryEscape(inner), url.QueryEscape(telemetry.Redacted), telemetry.Redacted)
		}
	}
	return strings.Join(fields, "&")
}

// unescape reads a part of a form. What is no escape, or was cut, stays as it is.
func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c, err := url.PathUnescape(s[i:min(i+3, len(s))]); s[i] == '%' && err == nil {
			b.WriteString(c)
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// inner redacts a text that is the value of another one.
func (r *redactor) inner(plain string, depth int) (string, bool) {
	if slices.Contains(r.secrets, plain) {
		return telemetry.Redacted, true
	}
	if !strings.ContainsAny(plain, "=:{[<") {
		return "", false
	}
	if depth >= maxTexts {
		return telemetry.Redacted, true
	}
	redacted := r.text(plain, "", depth+1)
	return redacted, redacted != plain
}

// lastPart is what a nested name is about: card[cvc], user.password.
func lastPart(name string) string {
	name = strings.TrimRight(name, "]")
	return name[strings.LastIndexAny(name, "[.")+1:]
}

// xml redacts elements whose name is secret, and those that a name attribute says are. Attributes with
// secret names are pairs.
func (r *redactor) xml(text string) string {
	var edits []edit
	for at := 0; at < len(text); {
		open := strings.IndexByte(text[at:], '<')
		if open < 0 {
			break
		}
		open += at
		end, tagEnd := len(text), len(text) // of one that is cut
		if i := strings.IndexByte(text[open:], '>'); i >= 0 {
			end, tagEnd = open+i+1, open+i
		}
		at = end
		tag := text[open+1 : tagEnd]
		if tag == "" || strings.ContainsRune("/!?", rune(tag[0])) {
			continue
		}
		name := tag
		if i := strings.IndexAny(tag, " \t\r\n/"); i >= 0 {
			name = tag[:i]
		}
		local := name[strings.LastIndexByte(name, ':')+1:]
		if !r.secret(local) && !r.namedSecret(tag[len(name):]) {
			continue
		}
		for _, attribute := range []string{"value=", "content="} {
			if i := strings.Index(strings.ToLower(tag), attribute); i >= 0 {
				from := open + 1 + i + len(attribute)
				edits = append(edits, edit{from, tagEnd, `"` + telemetry.Redacted + `"`})
			}
		}
		if strings.HasSuffix(tag, "/") {
			continue
		}
		closing := closeOf(text, end, name)
		if closing > end {
			edits = append(edits, edit{end, closing, telemetry.Redacted})
		}
		at = closing
	}
	return apply(text, edits)
}

// namedSecret reports whether an attribute gives the element the name of a secret: <input name="password">.
func (r *redactor) namedSecret(attributes string) bool {
	lower := strings.ToLower(attributes)
	for _, attribute := range []string{"name=", "key=", "id="} {
		i := strings.Index(lower, attribute)
		if i < 0 {
			continue
		}
		value := strings.TrimLeft(attributes[i+len(attribute):], `"'`)
		if end := strings.IndexAny(value, `"' />`); end >= 0 {
			value = value[:end]
		}
		if r.secret(lastPart(value)) {
			return true
		}
	}
	return false
}

// closeOf is where the element ends that begins before at: its closing tag, the end of the text when that
// is missing. Elements of the same name in it count.
func closeOf(text string, at int, name string) int {
	for depth := 1; ; {
		i := strings.IndexByte(text[at:], '<')
		if i < 0 {
			return len(text)
		}
		at += i
		switch rest := text[at+1:]; {
		case strings.HasPrefix(rest, "/"+name):
			if depth--; depth == 0 {
				return at
			}
		case strings.HasPrefix(rest, name) && len(rest) > len(name) && strings.IndexByte(" \t\r\n>", rest[len(name)]) >= 0:
			depth++
		}
		at++
	}
}

// Hide takes the values in secrets out of a text, in any usual encoding. cut says that the end of the text
// is missing: then the beginning of a value at its end goes too.
func Hide(text string, cut bool, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) < 4 {
			continue // Found as a whole value only; anything else would eat the text.
		}
		for _, form := range encodings(secret) {
			text = strings.ReplaceAll(text, form, telemetry.Redacted)
			if cut {
				text = withoutBeginning(text, form)
			}
		}
	}
	return text
}

// encodings are the forms in which a value shows up in texts.
func encodings(secret string) []string {
	quoted, err := json.Marshal(secret)
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret), html.EscapeString(secret)}
	if err == nil {
		forms = append(forms, strings.Trim(string(quoted), `"`))
	}
	if len(secret) >= 8 {
		raw := []byte(secret)
		forms = append(forms, strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "="), base64.RawURLEncoding.EncodeToString(raw), hex.EncodeToString(raw))
	}
	slices.Sort(forms)
	return slices.Compact(forms)
}

// withoutBeginning drops the first part of a value when a text was cut within it.
func withoutBeginning(text, value string) string {
	for n := min(len(value)-1, len(text)); n >= 4; n-- {
		if strings.HasSuffix(text, value[:n]) {
			return text[:len(text)-n] + telemetry.Redacted
		}
	}
	return text
}
