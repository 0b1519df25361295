package http1

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzAnswer compares with net/http: what we take, it takes too, and both understand the same. What it takes
// and we do not is one of the forms that we refuse on purpose.
func FuzzAnswer(f *testing.F) {
	for _, text := range append(goodAnswers(), badAnswers()...) {
		f.Add(text, false)
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, head bool) {
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		compare(t, method, text)
	})
}

// Every seed is compared, also where nobody fuzzes.
func TestAnswersAreUnderstoodAsNetHTTPDoes(t *testing.T) {
	t.Parallel()
	for _, text := range append(goodAnswers(), badAnswers()...) {
		compare(t, http.MethodGet, text)
		compare(t, http.MethodHead, text)
		compare(t, http.MethodPost, text)
	}
}

func compare(t *testing.T, method, text string) {
	t.Helper()
	r := newRequest(t, method, "http://up.test/", nil)
	theirs, theirErr := readTheirs(r, text)
	if theirErr == nil {
		defer func() { _ = theirs.Body.Close() }()
	}
	ours, _, err := received(r, text, nil)
	if err != nil {
		if theirErr == nil && !onPurpose(err) {
			t.Fatalf("%s %q: refused with %v, and net/http takes it", method, text, err)
		}
		return
	}
	defer func() { _ = ours.Body.Close() }()
	if theirErr != nil {
		t.Fatalf("%s %q: taken, and net/http says %v", method, text, theirErr)
	}
	type message struct {
		Status      int
		Text, Proto string
		Header      http.Header
		Length      int64
		Encoding    []string
		Close       bool
		Trailer     http.Header
	}
	of := func(r *http.Response) message {
		return message{r.StatusCode, r.Status, r.Proto, r.Header, r.ContentLength, r.TransferEncoding, r.Close, maps.Clone(r.Trailer)}
	}
	if diff := cmp.Diff(of(theirs), of(ours), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s %q: %s", method, text, diff)
	}
	their, theirErr := io.ReadAll(theirs.Body)
	our, err := io.ReadAll(ours.Body)
	if err != nil && theirErr == nil && onPurpose(err) {
		return
	}
	if string(our) != string(their) || (err == nil) != (theirErr == nil) {
		t.Fatalf("%s %q: body %q, %v; net/http says %q, %v", method, text, our, err, their, theirErr)
	}
	if diff := cmp.Diff(theirs.Trailer, ours.Trailer, cmpopts.EquateEmpty()); err == nil && diff != "" {
		t.Fatalf("%s %q: trailer %s", method, text, diff)
	}
}

// readTheirs reads the answer with net/http, past informational ones, as its transport does.
func readTheirs(r *http.Request, text string) (*http.Response, error) {
	from := bufio.NewReader(strings.NewReader(text))
	for {
		resp, err := http.ReadResponse(from, r)
		if err != nil || resp.StatusCode < 100 || resp.StatusCode > 199 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

func onPurpose(err error) bool {
	_, ok := errors.AsType[malformedError](err)
	return ok
}
