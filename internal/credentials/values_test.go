package credentials

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzParseValues compares with the decoder: what is read without it is read the same way.
func FuzzParseValues(f *testing.F) {
	for _, text := range []string{
		`{"token":"abc"}`, `{"username":"a","password":"b c"}`, `{"a":"ü","a":"2"}`, `{"a":"\u0041"}`, `{"a":"q\"q"}`, `{}`, `null`, ``, `{`, `{"a"}`, `{"a":1}`,
		`{"a":"b",}`, `{"a":"b"} `, ` {"a":"b"}`, `{"a" :"b"}`, `{"a":"b"}{`, `{"a":"b"`, `{"a":"b","c"`, "{\"a\":\"\n\"}", "{\"a\":\"\xff\"}", `["a"]`, `{"":""}`, `{,"a":"b"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, ok := plainValues(text)
		if !ok {
			return
		}
		var want map[string]string
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatalf("%q is read as %v, and the decoder says %v", text, got, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	})
}

// What is sealed mostly takes the short way, or the comparison above would compare nothing.
func TestSealedValuesAreRead(t *testing.T) {
	t.Parallel()
	for _, want := range []map[string]string{{"token": "sk_live_1"}, {"username": "u", "password": "p:ü"}, {"key": `quo"te`, "name": "<x>"}, {}} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseValues(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v, %s", text, err, diff)
		}
	}
	if _, ok := plainValues([]byte(`{"username":"u","password":"p:ü"}`)); !ok {
		t.Error("plain values do not take the short way")
	}
}
