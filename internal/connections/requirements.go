package connections

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/webaddress"
)

const (
	maxOwner    = 120
	maxPurpose  = 1000
	maxMarkdown = 20_000
	maxContacts = 20
	maxReach    = 200
)

// DataClasses returns what kind of data a connection may carry, the least sensitive first.
func DataClasses() []string { return []string{"public", "internal", "confidential", "personal"} }

// Criticalities returns how much depends on a connection, the least first.
func Criticalities() []string { return []string{"low", "medium", "high", "critical"} }

// Requirements say what a connection is for and what is expected of it. Everything may be left out.
type Requirements struct {
	// Owner is the team or person that answers for it.
	Owner   string `json:"owner,omitempty"`
	Purpose string `json:"purpose,omitempty"`
	// DataClass is one of [DataClasses], Criticality one of [Criticalities].
	DataClass      string `json:"data_class,omitempty"`
	Criticality    string `json:"criticality,omitempty"`
	SLO            SLO    `json:"slo,omitzero"`
	ExpectedVolume Volume `json:"expected_volume,omitzero"`
}

// SLO is what is promised to those who call through a connection.
type SLO struct {
	// Availability is the part of the calls that must not fail, in per cent.
	Availability float64 `json:"availability,omitempty"`
	// P95 is what 95 of 100 calls must not exceed.
	P95 runtime.Duration `json:"p95,omitempty"`
}

// Volume is a number of calls in a time.
type Volume struct {
	Calls int              `json:"calls,omitempty"`
	Per   runtime.Duration `json:"per,omitempty"`
}

// PerMinute is the volume as calls in a minute, 0 when there is none.
func (v Volume) PerMinute() float64 {
	if v.Per <= 0 {
		return 0
	}
	return float64(v.Calls) / v.Per.Std().Minutes()
}

// Documentation is what somebody needs who has to act on a connection. Everything may be left out.
type Documentation struct {
	// Runbook and Notes are Markdown.
	Runbook  string    `json:"runbook,omitempty"`
	Notes    string    `json:"notes,omitempty"`
	Contacts []Contact `json:"contacts,omitempty"`
	// StatusURL is where the vendor says what is broken, DocsURL the vendor's reference, OpenAPIURL a
	// document that describes the API.
	StatusURL  string `json:"status_url,omitempty"`
	DocsURL    string `json:"docs_url,omitempty"`
	OpenAPIURL string `json:"openapi_url,omitempty"`
}

// Contact is somebody to ask, and how to reach them.
type Contact struct {
	Name  string `json:"name"`
	Reach string `json:"reach"`
}

// checkRequirements returns the requirements of a draft as they are stored; nil is none.
func checkRequirements(in *Requirements) (out Requirements, err error) {
	if in == nil {
		return out, nil
	}
	const code = "INVALID_REQUIREMENTS"
	bad := func(field, message string) (Requirements, error) {
		return Requirements{}, fault.Field(code, "requirements."+field, message)
	}
	out = *in
	if out.Owner, err = line(code, "requirements.owner", out.Owner, maxOwner); err != nil {
		return out, err
	}
	if out.Purpose, err = text(code, "requirements.purpose", out.Purpose, maxPurpose); err != nil {
		return out, err
	}
	for _, f := range []struct {
		field, value string
		known        []string
	}{{"data_class", out.DataClass, DataClasses()}, {"criticality", out.Criticality, Criticalities()}} {
		if f.value != "" && !slices.Contains(f.known, f.value) {
			return bad(f.field, "Use one of "+strings.Join(f.known, ", ")+".")
		}
	}
	switch v, slo := out.ExpectedVolume, out.SLO; {
	case !(slo.Availability >= 0 && slo.Availability <= 100): // NaN as well
		return bad("slo.availability", "It is a percentage between 0 and 100, such as 99.9.")
	case slo.P95 < 0:
		return bad("slo.p95", "It cannot be negative.")
	case v.Calls < 0:
		return bad("expected_volume.calls", "It cannot be negative.")
	case v.Per < 0:
		return bad("expected_volume.per", "It cannot be negative.")
	case v.Calls > 0 && v.Per == 0:
		return bad("expected_volume.per", "Say in which time, such as 1m.")
	case v.Calls == 0 && v.Per > 0:
		return bad("expected_volume.calls", "Say how many calls.")
	}
	return out, nil
}

// checkDocumentation returns the documentation of a draft as it is stored; nil is none.
func checkDocumentation(in *Documentation) (out Documentation, err error) {
	if in == nil {
		return out, nil
	}
	const code = "INVALID_DOCUMENTATION"
	out = *in
	for _, f := range []struct {
		field string
		value *string
	}{{"runbook", &out.Runbook}, {"notes", &out.Notes}} {
		if *f.value, err = text(code, "documentation."+f.field, *f.value, maxMarkdown); err != nil {
			return out, err
		}
	}
	for _, f := range []struct {
		field string
		value *string
	}{{"status_url", &out.StatusURL}, {"docs_url", &out.DocsURL}, {"openapi_url", &out.OpenAPIURL}} {
		if *f.value, err = checkLink(code, "documentation."+f.field, *f.value); err != nil {
			return out, err
		}
	}
	if len(out.Contacts) > maxContacts {
		return out, fault.Field(code, "documentation.contacts", fmt.Sprintf("There can be at most %d contacts.", maxContacts))
	}
	out.Contacts = nil
	for i, c := range in.Contacts {
		at := "documentation.contacts[" + strconv.Itoa(i) + "]"
		if c.Name, err = line(code, at+".name", c.Name, maxName); err != nil {
			return out, err
		}
		if c.Reach, err = line(code, at+".reach", c.Reach, maxReach); err != nil {
			return out, err
		}
		if c.Name == "" {
			return out, fault.Field(code, at+".name", "Say who it is.")
		}
		if c.Reach == "" {
			return out, fault.Field(code, at+".reach", "Say how to reach "+c.Name+": an address, a channel, a number.")
		}
		out.Contacts = append(out.Contacts, c)
	}
	return out, nil
}

// checkLink checks an address for people. It is shown as a link, so it must lead to a web page and nowhere else.
func checkLink(code, field, address string) (string, error) {
	address = strings.TrimSpace(address)
	if address == "" {
		return "", nil
	}
	u, err := url.Parse(address)
	switch {
	case len(address) > maxURL:
		return "", fault.Field(code, field, fmt.Sprintf("Use at most %d characters.", maxURL))
	case err != nil || u.Hostname() == "" || !webaddress.ValidPort(u) || u.Scheme != "https" && u.Scheme != "http":
		return "", fault.Field(code, field, "This is not a web address. It looks like https://status.example.com.")
	case u.User != nil:
		return "", fault.Field(code, field, "It must not hold a user name or password: everyone who sees the connection sees it.")
	}
	return u.String(), nil
}

// text makes text of several lines fit to be stored: line ends are \n, and there is no control character
// and none that reverses the direction of what follows.
func text(code, field, s string, limit int) (string, error) {
	s = strings.TrimSpace(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s))
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t' || r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069'
	}) {
		return "", fault.Field(code, field, "It contains a character that cannot be shown.")
	}
	if utf8.RuneCountInString(s) > limit {
		return "", fault.Field(code, field, fmt.Sprintf("Use at most %d characters.", limit))
	}
	return s, nil
}

// flattenRequirements adds what a definition says about its requirements and documentation to the names
// and values that versions are compared by.
func flattenRequirements(into map[string]string, d Definition) {
	number := func(f float64) string {
		if f == 0 {
			return ""
		}
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	duration := func(d runtime.Duration) string {
		if d == 0 {
			return ""
		}
		return d.String()
	}
	contacts := make([]string, len(d.Documentation.Contacts))
	for i, c := range d.Documentation.Contacts {
		contacts[i] = c.Name + ": " + c.Reach
	}
	r, doc := d.Requirements, d.Documentation
	for name, value := range map[string]string{
		"requirements.owner": r.Owner, "requirements.purpose": r.Purpose, "requirements.data_class": r.DataClass,
		"requirements.criticality": r.Criticality, "requirements.slo.availability": number(r.SLO.Availability),
		"requirements.slo.p95": duration(r.SLO.P95), "requirements.expected_volume.calls": number(float64(r.ExpectedVolume.Calls)),
		"requirements.expected_volume.per": duration(r.ExpectedVolume.Per),
		"documentation.runbook":            doc.Runbook, "documentation.notes": doc.Notes, "documentation.contacts": strings.Join(contacts, "; "),
		"documentation.status_url": doc.StatusURL, "documentation.docs_url": doc.DocsURL, "documentation.openapi_url": doc.OpenAPIURL,
	} {
		if value != "" {
			into[name] = value
		}
	}
}

// A comparison shows of a long text where it begins to differ: so much from there, and so much before it.
const (
	maxExcerpt = 300
	lead       = 60
)

// excerpt shortens two texts to where they begin to differ, when one of them is long.
func excerpt(before, after string) (string, string) {
	a, b := []rune(before), []rune(after)
	if max(len(a), len(b)) <= maxExcerpt {
		return before, after
	}
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	cut := func(all []rune) string {
		if len(all) == 0 {
			return ""
		}
		from := max(0, same-lead)
		to := min(len(all), from+maxExcerpt)
		out := string(all[from:to])
		if from > 0 {
			out = "…" + out
		}
		if to < len(all) {
			out += "…"
		}
		return out
	}
	return cut(a), cut(b)
}
