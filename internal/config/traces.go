package config

import (
	"net/url"
	"strings"
	"unicode"

	"switchgear/internal/webaddress"
)

// checkTraces checks where traces go, and completes the URL of a collector.
func (p *problems) checkTraces(c *Config) {
	if !p.has(envTraceRatio) && !(c.TraceRatio >= 0 && c.TraceRatio <= 1) {
		p.add(envTraceRatio, "%v is not between 0 and 1", c.TraceRatio)
	}
	if _, ok := splitHeaders(c.OTLPHeaders.Reveal()); !ok {
		p.add(envOTLPHeaders, "is not a comma-separated list of NAME=VALUE")
	}
	if c.OTLPEndpoint == "" {
		return
	}
	u, err := url.Parse(c.OTLPEndpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || !webaddress.ValidPort(u) || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		p.add(envOTLP, "is not an http or https URL without user, query and fragment")
		return
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	c.OTLPEndpoint = u.String()
}

// TraceHeaders are the headers for the collector of traces.
func (c Config) TraceHeaders() map[string]string {
	headers, _ := splitHeaders(c.OTLPHeaders.Reveal())
	return headers
}

func splitHeaders(list string) (headers map[string]string, ok bool) {
	headers = map[string]string{}
	if list == "" {
		return headers, true
	}
	for part := range strings.SplitSeq(list, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(part), "=")
		if !found || !headerName(name) || strings.ContainsFunc(value, unicode.IsControl) {
			return nil, false
		}
		headers[name] = value
	}
	return headers, true
}

// headerName reports whether a name consists of the letters, digits and dashes that names of headers have.
func headerName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_'
	})
}
