package authtype

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// The ways in which the body takes part in a signature of AWS.
const (
	payloadSigned   = "signed"
	payloadUnsigned = "unsigned"
)

// awsSigV4 signs requests as AWS wants it (Signature Version 4, in the header Authorization). Other systems
// with the interface of S3 want the same.
type awsSigV4 struct{}

// Kind implements Type.
func (awsSigV4) Kind() string { return "aws_sigv4" }

// Label implements Type.
func (awsSigV4) Label() string { return "AWS Signature Version 4" }

// Fields implements Type.
func (awsSigV4) Fields() []Field {
	return []Field{
		{Key: "access_key_id", Label: "Access key ID", Type: FieldText, Required: true},
		{Key: "secret_access_key", Label: "Secret access key", Type: FieldSecret, Required: true, Secret: true},
		{Key: "session_token", Label: "Session token", Type: FieldSecret, Secret: true, Help: "Of temporary credentials only."},
		{Key: "region", Label: "Region", Type: FieldText, Required: true, Default: "us-east-1", Help: "Such as eu-central-1; auto for Cloudflare R2."},
		{Key: "service", Label: "Service", Type: FieldText, Required: true, Help: "The name that the service signs under, such as s3, dynamodb or execute-api."},
		{
			Key: "payload", Label: "Body", Type: FieldSelect, Required: true, Options: []string{payloadSigned, payloadUnsigned}, Default: payloadSigned,
			Help: "A signed body is kept until it has arrived whole. Unsigned streams; S3 allows it over https.",
		},
	}
}

func (t awsSigV4) check(values map[string]string) error {
	// Commas, slashes and spaces have a meaning where these are written.
	for _, key := range []string{"access_key_id", "region", "service"} {
		if !isToken(values[key]) {
			return field(t, key).invalid("contains a character that it cannot have. Paste it again.")
		}
	}
	for _, key := range []string{"secret_access_key", "session_token"} {
		if strings.ContainsFunc(values[key], func(r rune) bool { return r <= ' ' || r > '~' }) {
			return field(t, key).invalid("contains a space or a character that it cannot have. Paste it again.")
		}
	}
	if values["payload"] == payloadUnsigned && !isS3(values["service"]) {
		return field(t, "payload").invalid("can be unsigned for S3 only.")
	}
	return nil
}

// CheckOrigin implements Placed: without its hash in the signature, nothing but TLS protects the body.
func (t awsSigV4) CheckOrigin(values map[string]string, origin string) error {
	if values["payload"] == payloadUnsigned && strings.HasPrefix(origin, "http:") {
		return field(t, "payload").invalid("can be unsigned over https only, and the base URL of the connection begins with http://. Sign it, or use https://.")
	}
	return nil
}

// isS3 reports whether a service has the rules of S3: paths are encoded once and not normalized, and the
// hash of the body is a header.
func isS3(service string) bool {
	return service == "s3" || service == "s3-outposts" || service == "s3-object-lambda"
}

// SignsBody implements BodySigner.
func (awsSigV4) SignsBody(values map[string]string, _ string) bool {
	return values["payload"] != payloadUnsigned
}

// Apply implements Type.
func (t awsSigV4) Apply(r *http.Request, use Use) error {
	values := use.Values
	if err := Validate(t, values); err != nil {
		return err
	}
	hash, err := t.payloadHash(r, values)
	if err != nil {
		return err
	}
	strip(r)
	for _, name := range []string{"X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256"} {
		drop(r.Header, name)
	}
	if strings.Contains(r.URL.RawQuery, "+") {
		// Services differ in what they take it for. The URL may be shared with the next attempt.
		u := *r.URL
		u.RawQuery = strings.ReplaceAll(u.RawQuery, "+", "%20")
		r.URL = &u
	}
	s := sigV4{
		accessKey: values["access_key_id"], secret: values["secret_access_key"], region: values["region"], service: values["service"],
		at: use.Now.UTC(), payload: hash, s3: isS3(values["service"]),
	}
	set(r.Header, "X-Amz-Date", s.at.Format(sigV4Time))
	if values["session_token"] != "" {
		set(r.Header, "X-Amz-Security-Token", values["session_token"])
	}
	if s.s3 {
		set(r.Header, "X-Amz-Content-Sha256", hash)
	}
	set(r.Header, "Authorization", s.authorization(r, signedByAWS))
	return nil
}

// payloadHash is what stands for the body in the signature.
func (t awsSigV4) payloadHash(r *http.Request, values map[string]string) (string, error) {
	if values["payload"] == payloadUnsigned {
		if r.URL.Scheme != "https" {
			return "", field(t, "payload").invalid("can be unsigned over https only.")
		}
		return "UNSIGNED-PAYLOAD", nil
	}
	body, err := openBody(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, body); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// signedByAWS says which headers take part: those that must, and those that name what the body is. Others
// may change on the way.
func signedByAWS(name string) bool {
	return name == "content-type" || name == "content-md5" || strings.HasPrefix(name, "x-amz-")
}

const (
	sigV4Time      = "20060102T150405Z"
	sigV4Algorithm = "AWS4-HMAC-SHA256"
)

// sigV4 is one signature.
type sigV4 struct {
	accessKey, secret, region, service string
	at                                 time.Time
	payload                            string // the hash of the body, or what stands for it
	s3                                 bool
}

// authorization is the header that signs a request, with the headers that signed names.
func (s sigV4) authorization(r *http.Request, signed func(name string) bool) string {
	names, headers := canonicalHeaders(r, signed)
	canonical := strings.Join([]string{
		r.Method, s.path(r.URL), canonicalQuery(r.URL.RawQuery), headers, names, s.payload,
	}, "\n")
	scope := s.at.Format("20060102") + "/" + s.region + "/" + s.service + "/aws4_request"
	sum := sha256.Sum256([]byte(canonical))
	text := sigV4Algorithm + "\n" + s.at.Format(sigV4Time) + "\n" + scope + "\n" + hex.EncodeToString(sum[:])
	key := []byte("AWS4" + s.secret)
	for _, part := range []string{s.at.Format("20060102"), s.region, s.service, "aws4_request", text} {
		key = hmacSHA256(key, part)
	}
	return sigV4Algorithm + " Credential=" + s.accessKey + "/" + scope + ", SignedHeaders=" + names + ", Signature=" + hex.EncodeToString(key)
}

func hmacSHA256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, text) // A hash takes everything.
	return mac.Sum(nil)
}

// path is the canonical URI: for S3 the path encoded once, for the others the path as it is sent, normalized
// and encoded once more.
func (s sigV4) path(u *url.URL) string {
	if s.s3 {
		return escapeUnreserved("/"+strings.TrimPrefix(u.Path, "/"), true)
	}
	sent := "/" + strings.TrimPrefix(u.EscapedPath(), "/")
	clean := path.Clean(sent)
	if clean != "/" && (strings.HasSuffix(sent, "/") || strings.HasSuffix(sent, "/.") || strings.HasSuffix(sent, "/..")) {
		clean += "/"
	}
	return escapeUnreserved(clean, true)
}

// canonicalQuery is the query with every name and value encoded alike, sorted.
func canonicalQuery(raw string) string {
	if raw == "" {
		return ""
	}
	parameters := parseParameters(raw)
	slices.SortFunc(parameters, compareParameters)
	var out strings.Builder
	for i, p := range parameters {
		if i > 0 {
			out.WriteByte('&')
		}
		out.WriteString(p.name + "=" + p.value)
	}
	return out.String()
}

// canonicalHeaders is the list of the headers that are signed, and one line for each.
func canonicalHeaders(r *http.Request, signed func(name string) bool) (names, lines string) {
	all := map[string][]string{"host": {requestHost(r)}}
	for key, values := range r.Header {
		if name := strings.ToLower(key); name != "host" && len(values) > 0 && signed(name) {
			all[name] = append(all[name], values...)
		}
	}
	sorted := make([]string, 0, len(all))
	for name := range all {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	var out strings.Builder
	for _, name := range sorted {
		out.WriteString(name + ":")
		for i, value := range all[name] {
			if i > 0 {
				out.WriteByte(',')
			}
			out.WriteString(strings.Join(strings.Fields(value), " "))
		}
		out.WriteByte('\n')
	}
	return strings.Join(sorted, ";"), out.String()
}

// requestHost is the header Host as it is sent.
func requestHost(r *http.Request) string {
	if r.Host != "" {
		return r.Host
	}
	return r.URL.Host
}
