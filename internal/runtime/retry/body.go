package retry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
)

// SpoolConfig bounds what is kept of request bodies. The zero value is usable.
type SpoolConfig struct {
	// Memory is how much of one body is kept in memory. 0 = 2 MiB.
	Memory int64
	// Disk is how much of one body is kept in a file when it outgrows the memory. 0 = none: then such a body
	// cannot be sent again.
	Disk int64
	// TotalMemory and TotalDisk bound all bodies together. 0 = 64 MiB and 1 GiB.
	TotalMemory, TotalDisk int64
	// Dir is where the files are made. Empty means the system's directory for temporary files.
	Dir string
}

// Spool keeps request bodies while calls are under way. It is safe for concurrent use.
type Spool struct {
	cfg          SpoolConfig
	memory, disk atomic.Int64
}

// NewSpool makes a spool.
func NewSpool(cfg SpoolConfig) *Spool {
	if cfg.Memory <= 0 {
		cfg.Memory = 2 << 20
	}
	if cfg.TotalMemory <= 0 {
		cfg.TotalMemory = 64 << 20
	}
	if cfg.TotalDisk <= 0 {
		cfg.TotalDisk = 1 << 30
	}
	return &Spool{cfg: cfg}
}

// Use is how much is kept now.
func (s *Spool) Use() (memory, disk int64) { return s.memory.Load(), s.disk.Load() }

// reserve takes n of what is left of a total, or nothing.
func reserve(used *atomic.Int64, n, total int64) bool {
	if used.Add(n) <= total {
		return true
	}
	used.Add(-n)
	return false
}

// Body is a request body that is kept while it is sent for the first time, so that it can be sent again.
// It streams: nothing is read from the source before an attempt asks for it. Close it when the call ends.
type Body struct {
	spool  *Spool
	source io.Reader
	expect int // so many bytes will come; 0 when that is not known

	// reading is held while the source is read, which can take as long as the caller likes; mu is not.
	reading sync.Mutex

	mu      sync.Mutex
	memory  []byte
	file    *os.File
	onDisk  int64  // reserved
	named   string // of a file that could not be unlinked at once
	size    int64  // read from the source
	end     error  // of the source, io.EOF mostly
	lost    string // why it is not kept
	current *bodyReader
	closed  bool
}

var (
	errSuperseded = errors.New("retry: another attempt sends the body now")
	errNotKept    = errors.New("retry: the body was not kept")
)

// Body keeps what is read from source, of which length bytes are expected, or -1. It does not close source.
func (s *Spool) Body(source io.Reader, length int64) *Body {
	b := &Body{spool: s, source: source}
	switch {
	case length > max(s.cfg.Memory, s.cfg.Disk):
		b.lost = b.tooLarge()
	case length > 0 && length <= s.cfg.Memory:
		b.expect = int(length)
	}
	return b
}

func (b *Body) tooLarge() string {
	return fmt.Sprintf("the body is larger than what is kept of one, %d bytes", max(b.spool.cfg.Memory, b.spool.cfg.Disk))
}

// Lost says why the body cannot be sent again, in the words of [Attempt.BodyLost]; empty when it can.
func (b *Body) Lost() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size == 0 {
		return "" // Nothing was read yet, so nothing is missing.
	}
	return b.lost
}

// Attempt returns the body from its beginning, for one attempt. A reader of an earlier attempt fails from
// then on, even if it is being read. Not for http.Request.GetBody: with that the transport would repeat
// requests on its own.
func (b *Body) Attempt() (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, http.ErrBodyReadAfterClose
	case b.size > 0 && b.lost != "":
		return nil, errNotKept
	}
	b.current = &bodyReader{body: b}
	return b.current, nil
}

// Close lets go of what is kept. It waits for nobody: a read of the source that is under way ends when the
// source lets it, and what it brings is dropped. Closing again does nothing.
func (b *Body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.release()
}

// release drops what is kept.
func (b *Body) release() error {
	b.spool.memory.Add(-int64(cap(b.memory)))
	b.memory = nil
	b.spool.disk.Add(-b.onDisk)
	b.onDisk = 0
	var err error
	if b.file != nil {
		err = b.file.Close()
		b.file = nil
	}
	if b.named != "" {
		err = errors.Join(err, os.Remove(b.named))
		b.named = ""
	}
	return err
}

// lose goes on without keeping the body.
func (b *Body) lose(why string) {
	b.lost = why
	_ = b.release() // The body goes on to the upstream all the same.
}

// keep adds what was read to what is kept.
func (b *Body) keep(p []byte) {
	offset := b.size
	b.size += int64(len(p))
	if b.lost != "" || b.closed || len(p) == 0 {
		return
	}
	if b.file == nil && b.size <= b.spool.cfg.Memory {
		if b.grow(len(p)) {
			b.memory = append(b.memory, p...)
			return
		}
	}
	switch {
	case b.size > b.spool.cfg.Disk && b.size > b.spool.cfg.Memory:
		b.lose(b.tooLarge())
		return
	case b.size > b.spool.cfg.Disk:
		b.lose("the memory for kept bodies is used up")
		return
	}
	if b.file == nil {
		if err := b.spill(); err != nil {
			b.lose("the body could not be kept in a file")
			return
		}
	}
	if !reserve(&b.spool.disk, int64(len(p)), b.spool.cfg.TotalDisk) {
		b.lose("the disk space for kept bodies is used up")
		return
	}
	b.onDisk += int64(len(p))
	if _, err := b.file.WriteAt(p, offset); err != nil {
		b.lose("the body could not be kept in a file")
	}
}

// grow makes room for n more in memory, within the total.
func (b *Body) grow(n int) bool {
	need := len(b.memory) + n
	if need <= cap(b.memory) {
		return true
	}
	size := min(max(need, 2*cap(b.memory), 4<<10), max(need, int(b.spool.cfg.Memory)))
	if b.memory == nil && need <= b.expect {
		size = b.expect
	}
	if !reserve(&b.spool.memory, int64(size-cap(b.memory)), b.spool.cfg.TotalMemory) {
		return false
	}
	memory := make([]byte, len(b.memory), size)
	copy(memory, b.memory)
	b.memory = memory
	return true
}

// spill moves what is in memory to a file without a name.
func (b *Body) spill() error {
	if !reserve(&b.spool.disk, int64(len(b.memory)), b.spool.cfg.TotalDisk) {
		return errNotKept
	}
	b.onDisk = int64(len(b.memory))
	file, err := os.CreateTemp(b.spool.cfg.Dir, "body-*")
	if err != nil {
		return err
	}
	b.file = file
	if err := os.Remove(file.Name()); err != nil {
		b.named = file.Name() // Not every system lets go of a name in use.
	}
	if _, err := file.WriteAt(b.memory, 0); err != nil {
		return err
	}
	b.spool.memory.Add(-int64(cap(b.memory)))
	b.memory = nil
	return nil
}

// bodyReader is the body for one attempt.
type bodyReader struct {
	body   *Body
	offset int64 // guarded by the body's mu
}

// Read implements io.Reader: first what is kept, then the source.
func (r *bodyReader) Read(p []byte) (int, error) {
	if n, err, done := r.kept(p); done {
		return n, err
	}
	b := r.body
	b.reading.Lock()
	defer b.reading.Unlock()
	// Another attempt may have read on while we waited for it.
	if n, err, done := r.kept(p); done {
		return n, err
	}
	n, err := b.source.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keep(p[:n])
	if err != nil {
		b.end = err
	}
	if stale := r.stale(); stale != nil {
		return 0, stale
	}
	r.offset += int64(n)
	return n, err
}

func (r *bodyReader) stale() error {
	switch b := r.body; {
	case b.closed:
		return http.ErrBodyReadAfterClose
	case b.current != r:
		return errSuperseded
	}
	return nil
}

// kept reads from what is kept. It reports false when the source has to be read.
func (r *bodyReader) kept(p []byte) (n int, err error, done bool) {
	b := r.body
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := r.stale(); err != nil {
		return 0, err, true
	}
	if r.offset == b.size {
		return 0, b.end, b.end != nil
	}
	if b.lost != "" {
		return 0, errNotKept, true
	}
	p = p[:min(int64(len(p)), b.size-r.offset)]
	if b.file != nil {
		n, err = b.file.ReadAt(p, r.offset)
	} else {
		n = copy(p, b.memory[r.offset:])
	}
	r.offset += int64(n)
	return n, err, true
}

// Close implements io.Closer. The body itself stays until [Body.Close].
func (r *bodyReader) Close() error { return nil }
