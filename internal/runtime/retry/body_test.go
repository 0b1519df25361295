package retry_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"switchgear/internal/runtime/retry"
)

func attempt(tb testing.TB, b *retry.Body) io.ReadCloser {
	tb.Helper()
	r, err := b.Attempt()
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func text(n int) string {
	rng := rand.New(rand.NewPCG(uint64(n), 5))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + rng.IntN(26))
	}
	return string(b)
}

func checkEmpty(t *testing.T, s *retry.Spool, dir string) {
	t.Helper()
	if memory, disk := s.Use(); memory != 0 || disk != 0 {
		t.Errorf("%d bytes in memory and %d on disk are still kept", memory, disk)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}

// TestBodyAgain sends bodies several times, each attempt stopping somewhere, and expects the same bytes.
func TestBodyAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := retry.NewSpool(retry.SpoolConfig{Memory: 8 << 10, Disk: 64 << 10, Dir: dir})
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 6))
		want := text(rng.IntN(64 << 10))
		length := int64(len(want))
		if rng.IntN(2) == 0 {
			length = -1
		}
		b := s.Body(iotest.HalfReader(strings.NewReader(want)), length)
		for range 3 {
			r := attempt(t, b)
			part := make([]byte, rng.IntN(len(want)+1))
			if _, err := io.ReadFull(r, part); err != nil || string(part) != want[:len(part)] {
				t.Fatalf("seed %d: %v", seed, err)
			}
			_ = r.Close()
			if why := b.Lost(); why != "" {
				t.Fatalf("seed %d: %s", seed, why)
			}
		}
		if got, err := io.ReadAll(attempt(t, b)); err != nil || string(got) != want {
			t.Fatalf("seed %d: %d of %d bytes, %v", seed, len(got), len(want), err)
		}
		if got, err := io.ReadAll(iotest.OneByteReader(attempt(t, b))); err != nil || string(got) != want {
			t.Fatalf("seed %d: again: %d of %d bytes, %v", seed, len(got), len(want), err)
		}
		if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) > 0 {
			t.Fatalf("a file with a name: %v", files)
		}
		if err := errors.Join(b.Close(), b.Close()); err != nil {
			t.Fatal(err)
		}
	}
	checkEmpty(t, s, dir)
}

// TestBodyStreams: the first attempt gets what there is, when it is there.
func TestBodyStreams(t *testing.T) {
	t.Parallel()
	source, caller := io.Pipe()
	s := retry.NewSpool(retry.SpoolConfig{})
	b := s.Body(source, -1)
	r := attempt(t, b)
	go func() { _, _ = io.WriteString(caller, "first") }()
	p := make([]byte, 100)
	if n, err := r.Read(p); err != nil || string(p[:n]) != "first" {
		t.Fatalf("%q %v", p[:n], err)
	}
	// The transport of the first attempt still reads when the second begins.
	old := make(chan error, 1)
	go func() {
		_, err := r.Read(make([]byte, 3))
		old <- err
	}()
	again := attempt(t, b)
	if n, err := again.Read(p); err != nil || string(p[:n]) != "first" {
		t.Fatalf("%q %v", p[:n], err)
	}
	go func() {
		_, _ = io.WriteString(caller, "second")
		_ = caller.Close()
	}()
	rest, err := io.ReadAll(again)
	if err != nil || string(rest) != "second" {
		t.Errorf("%q %v", rest, err)
	}
	if err := <-old; err == nil {
		t.Error("the first attempt reads on")
	}
	_ = b.Close()
	if _, err := again.Read(p); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Error(err)
	}
	if _, err := b.Attempt(); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Error(err)
	}
	checkEmpty(t, s, t.TempDir())
}

func TestBodyNotKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct {
		cfg    retry.SpoolConfig
		size   int
		length int64
		why    string
	}{
		"no file, told before": {retry.SpoolConfig{Memory: 1000}, 1001, 1001, "the body is larger than what is kept of one, 1000 bytes"},
		"no file, not told":    {retry.SpoolConfig{Memory: 1000}, 1001, -1, "the body is larger than what is kept of one, 1000 bytes"},
		"larger than a file":   {retry.SpoolConfig{Memory: 1000, Disk: 5000, Dir: dir}, 5001, -1, "the body is larger than what is kept of one, 5000 bytes"},
		"all memory":           {retry.SpoolConfig{Memory: 10_000, TotalMemory: 100}, 5000, -1, "the memory for kept bodies is used up"},
		"all disk":             {retry.SpoolConfig{Memory: 1000, Disk: 5000, TotalDisk: 1500, Dir: dir}, 5000, -1, "the disk space for kept bodies is used up"},
		"all disk at once":     {retry.SpoolConfig{Memory: 1000, Disk: 5000, TotalDisk: 500, Dir: dir}, 5000, -1, "the body could not be kept in a file"},
		"no directory":         {retry.SpoolConfig{Memory: 1000, Disk: 5000, Dir: filepath.Join(dir, "none")}, 5000, -1, "the body could not be kept in a file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := retry.NewSpool(c.cfg)
			want := text(c.size)
			b := s.Body(iotest.OneByteReader(strings.NewReader(want)), c.length)
			// Nothing was read yet, so another attempt is still possible, as after a failure to connect.
			attempt(t, b)
			if why := b.Lost(); why != "" {
				t.Error(why)
			}
			r := attempt(t, b)
			if got, err := io.ReadAll(r); err != nil || string(got) != want { // It is sent all the same.
				t.Errorf("%d of %d bytes, %v", len(got), c.size, err)
			}
			if why := b.Lost(); why != c.why {
				t.Errorf("%q", why)
			}
			if _, err := b.Attempt(); err == nil {
				t.Error("a second attempt with half a body")
			}
			if memory, disk := s.Use(); memory != 0 || disk != 0 {
				t.Errorf("%d, %d kept of a body that is lost", memory, disk)
			}
			_ = b.Close()
			checkEmpty(t, s, dir)
		})
	}
}

// TestMemoryUsedUpSpills: a body that would fit goes to a file when others have taken the memory.
func TestMemoryUsedUpSpills(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := retry.NewSpool(retry.SpoolConfig{Memory: 10_000, TotalMemory: 10_000, Disk: 50_000, Dir: dir})
	bodies := make([]*retry.Body, 0, 5)
	for range 5 {
		b := s.Body(strings.NewReader(text(9000)), 9000)
		bodies = append(bodies, b)
		if _, err := io.Copy(io.Discard, attempt(t, b)); err != nil {
			t.Fatal(err)
		}
	}
	if memory, disk := s.Use(); memory > 10_000 || disk != 4*9000 {
		t.Errorf("%d in memory, %d on disk", memory, disk)
	}
	for _, b := range bodies {
		if got, err := io.ReadAll(attempt(t, b)); err != nil || string(got) != text(9000) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		_ = b.Close()
	}
	checkEmpty(t, s, dir)
}

func TestBodyErrorOfTheSource(t *testing.T) {
	t.Parallel()
	gone := errors.New("the caller went away")
	s := retry.NewSpool(retry.SpoolConfig{})
	b := s.Body(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(gone)), 8)
	for range 2 {
		if got, err := io.ReadAll(attempt(t, b)); string(got) != "half" || !errors.Is(err, gone) {
			t.Errorf("%q %v", got, err)
		}
	}
	_ = b.Close()
	checkEmpty(t, s, t.TempDir())
}

// TestCloseDoesNotWait: the caller sends nothing more, and a read waits for it.
func TestCloseDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source, caller := io.Pipe()
		s := retry.NewSpool(retry.SpoolConfig{})
		b := s.Body(source, -1)
		r := attempt(t, b)
		read := make(chan error, 1)
		go func() {
			_, err := r.Read(make([]byte, 10))
			read <- err
		}()
		synctest.Wait() // The read waits for the caller.
		_ = b.Close()
		_, _ = io.WriteString(caller, "late")
		if err := <-read; !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Error(err)
		}
		checkEmpty(t, s, t.TempDir())
	})
}

func TestManyBodies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := retry.NewSpool(retry.SpoolConfig{Memory: 4 << 10, Disk: 64 << 10, TotalMemory: 100 << 10, TotalDisk: 1 << 20, Dir: dir})
	want := text(10_000)
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			n := i * 10
			b := s.Body(strings.NewReader(want[:n]), int64(n))
			defer func() { _ = b.Close() }()
			for range 2 {
				r, err := b.Attempt()
				if err != nil {
					return // The totals were used up by others.
				}
				if got, err := io.ReadAll(r); err == nil && !bytes.Equal(got, []byte(want[:n])) {
					t.Errorf("%d: other bytes", n)
				}
			}
		})
	}
	wg.Wait()
	checkEmpty(t, s, dir)
}

// TestFileIsPrivate: what is on disk cannot be opened by others, because it has no name.
func TestFileIsPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := retry.NewSpool(retry.SpoolConfig{Memory: 10, Disk: 1000, Dir: dir})
	b := s.Body(strings.NewReader(text(500)), -1)
	if _, err := io.Copy(io.Discard, attempt(t, b)); err != nil {
		t.Fatal(err)
	}
	if _, disk := s.Use(); disk != 500 {
		t.Errorf("%d on disk", disk)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("%v %v", entries, err)
	}
	_ = b.Close()
}

func BenchmarkBody(b *testing.B) {
	s := retry.NewSpool(retry.SpoolConfig{})
	payload := []byte(text(1000))
	buffer := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		body := s.Body(bytes.NewReader(payload), int64(len(payload)))
		r, err := body.Attempt()
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = r.Read(buffer)
		}
		_ = body.Close()
	}
}
