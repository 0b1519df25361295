package connections

import "testing"

// A body that is not signed needs TLS: what cannot work is refused when it is saved, from either side.
func TestUnsignedBodyNeedsTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fields := func(payload string) map[string]string {
		return map[string]string{"access_key_id": "AKIA", "secret_access_key": "s", "region": "eu-west-1", "service": "s3", "payload": payload}
	}
	d := draft("store")
	d.BaseURL, d.Auth = "http://s3.example.com", Auth{Type: "aws_sigv4", Fields: fields("unsigned")}
	_, err := w.Create(t.Context(), admin(), d, "")
	wantField(t, err, "INVALID_AUTH_FIELD", "auth.fields.payload")
	d.Auth.Fields = fields("signed")
	must(t, only(w.Create(t.Context(), admin(), d, "")))
	_, err = w.Update(t.Context(), admin(), "store", Draft{Auth: Auth{Fields: map[string]string{"payload": "unsigned"}}}, "", 0)
	wantField(t, err, "INVALID_AUTH_FIELD", "auth.fields.payload")
	_, err = w.PutAccount(t.Context(), admin(), "store", "zoe", Auth{Fields: fields("unsigned")}, "")
	wantField(t, err, "INVALID_AUTH_FIELD", "auth.fields.payload")

	d = draft("safe")
	d.BaseURL, d.Auth = "https://s3.example.com", Auth{Type: "aws_sigv4", Fields: fields("unsigned")}
	must(t, only(w.Create(t.Context(), admin(), d, "")))
	_, err = w.Update(t.Context(), admin(), "safe", Draft{BaseURL: "http://s3.example.com"}, "", 0)
	wantField(t, err, "INVALID_AUTH_FIELD", "auth.fields.payload")
	must(t, only(w.Update(t.Context(), admin(), "safe", Draft{Name: "Safe"}, "", 0)))
}
