package calls

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"switchgear/internal/runtime"
)

// detail is what only the page of one call shows. It is written by appendDetail.
type detail struct {
	RequestHeader  http.Header    `json:"request_header"`
	ResponseHeader http.Header    `json:"response_header"`
	Steps          []runtime.Step `json:"steps"`
	// Retried are without their reasons, which are steps.
	Retried []runtime.Retried `json:"retried"`
	// SentAt is when the attempt after those began.
	SentAt time.Duration `json:"sent_at"`
	// Fallback is what stood in for the upstream, other than the cache.
	Fallback *runtime.FallbackRecord `json:"fallback"`
}

// appendDetail appends the JSON of a detail. Every call has one, so it is written without reflection and
// without sorting.
func appendDetail(b []byte, r *runtime.Record) []byte {
	b = append(b, '{')
	if f := &r.Fallback; f.Connection != "" || f.Kind != "" {
		b = append(appendString(append(appendKey(b, "fallback"), `{"Kind":`...), f.Kind), `,"Connection":`...)
		b = append(appendString(b, f.Connection), `,"Attempts":`...)
		b = append(strconv.AppendInt(b, int64(f.Attempts), 10), `,"Outcome":`...)
		b = append(appendString(b, string(f.Outcome)), '}')
	}
	b = appendHeader(b, "request_header", r.RequestHeader)
	b = appendHeader(b, "response_header", r.ResponseHeader)
	if len(r.Steps) > 0 {
		b = append(appendKey(b, "steps"), '[')
		for i := range r.Steps {
			s := &r.Steps[i]
			b = append(b, `{"Name":`...)
			b = appendString(b, s.Name)
			b = append(b, `,"At":`...)
			b = strconv.AppendInt(b, int64(s.At), 10)
			b = append(b, `,"Took":`...)
			b = strconv.AppendInt(b, int64(s.Took), 10)
			b = append(b, `,"Note":`...)
			b = append(appendString(b, s.Note), '}', ',')
		}
		b[len(b)-1] = ']'
	}
	if len(r.Retried) > 0 {
		b = appendRetried(b, r.Retried)
		b = strconv.AppendInt(appendKey(b, "sent_at"), int64(r.SentAt), 10)
	}
	return append(b, '}')
}

func appendRetried(b []byte, retried []runtime.Retried) []byte {
	b = append(appendKey(b, "retried"), '[')
	for i := range retried {
		a := &retried[i]
		b = append(b, `{"Outcome":`...)
		b = appendString(b, string(a.Outcome))
		b = append(b, `,"Status":`...)
		b = strconv.AppendInt(b, int64(a.Status), 10)
		b = append(b, `,"At":`...)
		b = strconv.AppendInt(b, int64(a.At), 10)
		b = append(b, `,"Took":`...)
		b = strconv.AppendInt(b, int64(a.Took), 10)
		b = append(b, '}', ',')
	}
	b[len(b)-1] = ']'
	return b
}

func appendHeader(b []byte, key string, h http.Header) []byte {
	if len(h) == 0 {
		return b
	}
	b = append(appendKey(b, key), '{')
	for name, values := range h {
		b = append(appendString(b, name), ':', '[')
		for i, v := range values {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, v)
		}
		b = append(b, ']', ',')
	}
	b[len(b)-1] = '}'
	return b
}

// appendKey begins another member of the object that b ends in. The key needs no escapes.
func appendKey(b []byte, key string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, '"')
	return append(append(b, key...), '"', ':')
}

// appendString appends a JSON string. What is not plain ASCII is left to the standard encoder.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			text, _ := json.Marshal(s) // A string always has a form: what is no UTF-8 is replaced.
			return append(b, text...)
		}
	}
	b = append(b, '"')
	return append(append(b, s...), '"')
}
