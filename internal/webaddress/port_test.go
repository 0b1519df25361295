package webaddress

import (
	"net/url"
	"testing"
)

func TestValidPort(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"https://api.example.com": true, "https://api.example.com:443/v1": true, "http://127.0.0.1:18801": true, "http://[::1]:1": true, "http://[::1]": true,
		"http://h:65535": true, "http://h:80": true,
		"http://127.0.0.1:018801": false, "http://h:00080": false, "http://h:0": false, "http://h:65536": false, "http://h:99999999999999999999": false,
		"http://h:": false, "http://h:/v1": false, "http://[::1]:": false, "http://[::1]:0": false,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := ValidPort(u); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
}
