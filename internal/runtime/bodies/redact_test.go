package bodies

import (
	"strings"
	"testing"
)

const canary = "canary-4711-value"

// What must be hidden, in every format, whole and cut at every byte: no part of the canary that says
// something may be left.
func TestRedactHidesAndCutsHide(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ media, text string }{
		"json":                      {"application/json", `{"a":1,"password":"` + canary + `","b":[true]}`},
		"json with spaces":          {"application/json", "{\n  \"client_secret\" :\t\"" + canary + "\" }"},
		"json, camel case":          {"application/json", `{"accessToken":"` + canary + `"}`},
		"json, nested":              {"application/json", `{"data":[{"credentials":{"user":"x","pass":["` + canary + `"]}}]}`},
		"json, escaped name":        {"application/json", `{"pass\u0077ord":"` + canary + `"}`},
		"json, escaped value":       {"application/json", `{"token":"\"\\` + canary + `"}`},
		"json, mislabelled":         {"text/plain", ` {"secret":"` + canary + `"}`},
		"json, within a string":     {"application/json", `{"body":"{\"refresh_token\":\"` + canary + `\"}"}`},
		"json, twice within":        {"application/json", `{"a":"{\"b\":\"{\\\"api_key\\\":\\\"` + canary + `\\\"}\"}"}`},
		"json, form within":         {"application/json", `{"sent":"grant_type=x&client_secret=` + canary + `&a=1"}`},
		"json, link":                {"application/json", `{"next":"https://x.test/?access_token=` + canary + `"}`},
		"json, pair":                {"application/json", `{"headers":[{"name":"X-Api-Key","value":"` + canary + `"}]}`},
		"json, pair, value first":   {"application/json", `[{"value":"` + canary + `","name":"password"}]`},
		"json, list pair":           {"application/json", `[["Authorization","` + canary + `"]]`},
		"json lines":                {"application/x-ndjson", "{\"a\":1}\n{\"token\":\"" + canary + "\"}\n"},
		"json, not quite":           {"application/json", `{token: '` + canary + `', b: 1}`},
		"json, code of an exchange": {"application/json", `{"grant_type":"authorization_code","code":"` + canary + `"}`},
		"json, credential":          {"application/json", `{"echo":"Token of-the-connection-` + canary + `"}`},
		"json, bare literal":        {"application/json", `{"token":` + canary + `}`},
		"events":                    {"text/event-stream", "event: x\ndata: {\"api_key\":\"" + canary + "\"}\n\n"},
		"form":                      {"application/x-www-form-urlencoded", "a=1&password=" + canary + "&b=2"},
		"form, nested name":         {"application/x-www-form-urlencoded", "card%5Bcvc%5D=" + canary + "&b=2"},
		"form, escaped name":        {"application/x-www-form-urlencoded", "pass%77ord=" + canary},
		"form, json within":         {"application/x-www-form-urlencoded", "payload=%7B%22token%22%3A%22" + canary + "%22%7D"},
		"xml":                       {"application/xml", "<a><n:password type='x'>" + canary + "</n:password><b/></a>"},
		"xml, nested":               {"text/xml", "<a><token><token>x</token>" + canary + "</token></a>"},
		"xml, attribute":            {"application/soap+xml", `<login secret="` + canary + `"/>`},
		"xml, named":                {"application/xml", `<field name="api_key">` + canary + `</field>`},
		"html":                      {"text/html", `<input type=hidden name="csrf_token" value="` + canary + `">`},
		"text":                      {"text/plain", "hello\nAuthorization: Bearer " + canary + "\nbye"},
		"text, pair":                {"text/plain", "x token=" + canary + " y"},
		"text, arrow":               {"", "'api_key' => '" + canary + "'"},
		"yaml":                      {"application/yaml", "db:\n  password: " + canary + "\n"},
		"csv":                       {"text/csv", "id,password\n1," + canary + "\n"},
		"credential in text":        {"text/plain", "you sent of-the-connection-" + canary + "!"},
		"credential in base64":      {"text/plain", "you sent b2YtdGhlLWNvbm5lY3Rpb24tY2FuYXJ5LTQ3MTEtdmFsdWU"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			secrets := []string{"of-the-connection-" + canary}
			for n := range len(c.text) + 1 {
				got := redact(c.text[:n], c.media, n < len(c.text), secrets)
				if strings.Contains(got, canary[:6]) || strings.Contains(got, "b2YtdGhl") {
					t.Fatalf("cut at %d of %d: %s", n, len(c.text), got)
				}
			}
			if whole := redact(c.text, c.media, false, secrets); !strings.Contains(whole, "[redacted]") {
				t.Errorf("nothing was redacted: %s", whole)
			}
		})
	}
}

// What somebody debugs with must stay, byte for byte.
func TestRedactKeeps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ media, text string }{
		"json":           {"application/json", `{"id":"ch_1","author":{"name":"Ada"},"token_type":"bearer","key_id":"k1","code":"card_declined","n":1.5e3,"x":null}`},
		"figures":        {"application/json", `{"usage":{"prompt_tokens":12,"completion_tokens":7}}`},
		"not set":        {"application/json", `{"password":null,"token":false}`},
		"pair":           {"application/json", `[{"key":"colour","value":"red"}]`},
		"strange layout": {"application/json", "{ \"a\" : [ 1 , 2 ] ,\r\n\"b\":\"\\u00e4 \\/ x\" }"},
		"broken":         {"application/json", `{"a": 1, "b": `},
		"form":           {"application/x-www-form-urlencoded", "amount=100&currency=eur&empty&x=%7B%7D"},
		"xml":            {"application/xml", `<?xml version="1.0"?><a x="1"><!-- c --><b>2</b></a>`},
		"text":           {"text/plain", "error: no such thing: https://x.test/a?b=c"},
		"csv":            {"text/csv", "id,name\n1,Ada\n"},
		"empty":          {"", ""},
	} {
		if got := redact(c.text, c.media, false, []string{"of-the-connection"}); got != c.text {
			t.Errorf("%s: %s\nbecame %s", name, c.text, got)
		}
	}
}

func TestRedactedJSONStaysJSON(t *testing.T) {
	t.Parallel()
	got := redact(`{"a":{"token":{"x":[1]}},"b":"{\"pin\":\"1\"}","list":[{"name":"password","value":5}],"end":"x"}`, "application/json", false, nil)
	want := `{"a":{"token":"[redacted]"},"b":"{\"pin\":\"[redacted]\"}","list":[{"name":"password","value":"[redacted]"}],"end":"x"}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Hostile texts end, in time that grows with their length.
func FuzzRedact(f *testing.F) {
	for _, seed := range []string{strings.Repeat("[", 5000), strings.Repeat(`{"a":`, 3000), `"\`, `{"a":"\`, "<", "<a", "</", "=:=:", `\"\"`, "\xff", "<token><token>", `{"token"`, "token=", "a&b=&=", `{"value":"x"`} {
		f.Add(seed, "application/json", true)
		f.Add(seed, "text/xml", false)
		f.Add(seed, "application/x-www-form-urlencoded", true)
	}
	f.Fuzz(func(t *testing.T, text, media string, cut bool) {
		if len(text) > 40_000 {
			return
		}
		if got := redact(`{"password":"`+canary+`",`+text, media, cut, nil); strings.Contains(got, canary) {
			t.Errorf("%q", got)
		}
		_ = redact(text, media, cut, []string{"some secret"})
	})
}
