package channels

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// mailbox is a mail server in this process.
type mailbox struct {
	address string
	roots   *x509.CertPool
	methods []string
	refuse  error // of recipients

	mu   sync.Mutex
	mail []letter
}

type letter struct {
	from string
	to   []string
	text string
}

// newMailbox serves with TLS from the beginning, or after STARTTLS where implicit is false and offered true.
func newMailbox(t *testing.T, implicit, offered bool, methods ...string) *mailbox {
	t.Helper()
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS() // for its certificate, which is for 127.0.0.1
	t.Cleanup(certificate.Close)
	b := &mailbox{methods: methods, roots: x509.NewCertPool()}
	b.roots.AddCert(certificate.Certificate())
	server := smtp.NewServer(b)
	server.Domain, server.ReadTimeout, server.WriteTimeout = "mail.example.com", time.Minute, time.Minute
	encryption := &tls.Config{Certificates: certificate.TLS.Certificates, MinVersion: tls.VersionTLS12}
	if offered {
		server.TLSConfig = encryption
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	b.address = listener.Addr().String()
	if implicit {
		listener = tls.NewListener(listener, encryption)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return b
}

func (b *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) {
	return &mailSession{box: b, open: len(b.methods) == 0}, nil
}

func (b *mailbox) all() []letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]letter(nil), b.mail...)
}

// mailSession is one conversation. Nothing is taken from somebody who did not sign in.
type mailSession struct {
	box    *mailbox
	open   bool
	letter letter
}

func (s *mailSession) AuthMechanisms() []string { return s.box.methods }

func (s *mailSession) Auth(mech string) (sasl.Server, error) {
	check := func(username, password string) error {
		if username != "user" || password != canary {
			return smtp.ErrAuthFailed
		}
		s.open = true
		return nil
	}
	if mech == "LOGIN" {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, username, password string) error { return check(username, password) }), nil
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if !s.open {
		return smtp.ErrAuthRequired
	}
	s.letter.from = from
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.letter.to = append(s.letter.to, to)
	return s.box.refuse
}

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.letter.text = string(text)
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.mail = append(s.box.mail, s.letter)
	return err
}

func (s *mailSession) Reset()      { s.letter = letter{} }
func (*mailSession) Logout() error { return nil }

type loginServer struct {
	check    func(username, password string) error
	step     int
	username string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	l.step++
	switch l.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.username = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.username, string(response))
}

// values leads to the mailbox.
func (b *mailbox) values(security string) map[string]string {
	host, port, _ := strings.Cut(b.address, ":")
	return map[string]string{
		"host": host, "port": port, "security": security, "username": "user", "password": canary, "from": "Alerts <alerts@example.com>",
		"to": "ops@example.com, Second <second@example.com>",
	}
}

func (b *mailbox) wire() Wire {
	w := wire()
	w.RootCAs = b.roots
	return w
}

// A message arrives over both ways of encryption and both ways to sign in, and can be read.
func TestEmail(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		implicit bool
		methods  []string
		security string
	}{
		"starttls, plain": {false, []string{"PLAIN"}, "starttls"},
		"starttls, login": {false, []string{"LOGIN"}, "starttls"},
		"tls, both":       {true, []string{"LOGIN", "PLAIN"}, "tls"},
		"no sign-in":      {false, nil, "starttls"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newMailbox(t, tt.implicit, true, tt.methods...)
			values := b.values(tt.security)
			if tt.methods == nil {
				values["username"], values["password"] = "", ""
			}
			m := message()
			m.ConnectionName, m.Why = "Zahlungen für München", "All of the 10 calls failed.\r\n.\r\nQUIT"
			must(t, email{}.Send(t.Context(), b.wire(), Target{Values: values}, m))
			got := b.all()
			if len(got) != 1 || got[0].from != "alerts@example.com" || strings.Join(got[0].to, " ") != "ops@example.com second@example.com" {
				t.Fatalf("%+v", got)
			}
			read, err := mail.ReadMessage(strings.NewReader(got[0].text))
			must(t, err)
			subject, err := new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject"))
			must(t, err)
			body, err := io.ReadAll(quotedprintable.NewReader(read.Body))
			must(t, err)
			if subject != "[FIRING] Down: Zahlungen für München / charge" || read.Header.Get("Message-Id") != "<ant_1@example.com>" ||
				read.Header.Get("References") != "<alr_1@example.com>" || read.Header.Get("Auto-Submitted") != "auto-generated" ||
				!strings.Contains(string(body), "https://console.example.com/alerts/alr_1") || !strings.Contains(string(body), "\r\n.\r\nQUIT") {
				t.Errorf("%s\n%s", got[0].text, body)
			}
		})
	}
}

// Whatever names hold, they add no header and no recipient.
func TestHeaderInjection(t *testing.T) {
	t.Parallel()
	b := newMailbox(t, true, true, "PLAIN")
	for _, hostile := range []string{"x\r\nBcc: evil@example.com", "x\nX-Evil: 1", "x\r\n\r\nbody", "=?utf-8?q?=0D=0ABcc:_evil@example.com?=", strings.Repeat("ü", 500) + "\r\nBcc: evil@example.com"} {
		m := message()
		m.Rule, m.ConnectionName, m.Operation, m.ID, m.AlertID = hostile, hostile, hostile, hostile, hostile
		if err := (email{}).Send(t.Context(), b.wire(), Target{Values: b.values("tls")}, m); err != nil {
			t.Error(err)
			continue
		}
		all := b.all()
		got := all[len(all)-1]
		read, err := mail.ReadMessage(strings.NewReader(got.text))
		must(t, err)
		if len(read.Header) != 10 || read.Header.Get("Bcc")+read.Header.Get("X-Evil") != "" || len(got.to) != 2 {
			t.Errorf("%q: %v to %v", hostile, read.Header, got.to)
		}
	}
	for _, hostile := range []string{"a@example.com\r\nBcc: evil@example.com", "\"a\r\nRCPT TO:<evil@example.com>\"@example.com"} {
		values := b.values("tls")
		values["from"] = hostile
		n := len(b.all())
		if err := (email{}).Send(t.Context(), b.wire(), Target{Values: values}, message()); err == nil || len(b.all()) != n {
			t.Errorf("%q is a sender", hostile)
		}
	}
}

func TestEmailFailures(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		implicit, offered bool
		change            func(b *mailbox, values map[string]string, w *Wire)
		want              string
		permanent         bool
	}{
		"wrong password": {true, true, func(_ *mailbox, v map[string]string, _ *Wire) { v["password"] = "other" }, "The mail server answered 535.", false},
		"no encryption":  {false, false, func(_ *mailbox, v map[string]string, _ *Wire) { v["security"] = "starttls" }, "The mail server offers no STARTTLS, so nothing was sent.", true},
		"not trusted":    {true, true, func(_ *mailbox, _ map[string]string, w *Wire) { w.RootCAs = nil }, "The certificate of the server is not trusted.", false},
		"refused": {true, true, func(b *mailbox, _ map[string]string, _ *Wire) {
			b.refuse = &smtp.SMTPError{Code: 550, Message: canary}
		}, "The mail server answered 550.", true},
		"later": {true, true, func(b *mailbox, _ map[string]string, _ *Wire) {
			b.refuse = &smtp.SMTPError{Code: 451, Message: canary}
		}, "The mail server answered 451.", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newMailbox(t, tt.implicit, tt.offered, "PLAIN")
			values, w := b.values("tls"), b.wire()
			tt.change(b, values, &w)
			err := email{}.Send(t.Context(), w, Target{Values: values}, message())
			failure, ok := errors.AsType[*SendError](err)
			if !ok || failure.Text != tt.want || failure.Permanent != tt.permanent || len(b.all()) != 0 {
				t.Errorf("%#v, %d letters", err, len(b.all()))
			}
		})
	}
}

// A server that says nothing, or does not stop, ends with the time or the cap.
func TestEmailHostileServers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		serve func(c net.Conn)
		want  string
	}{
		"silent": {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "There was no answer in time."},
		"endless": {func(c net.Conn) {
			for line := []byte("220-" + strings.Repeat("x", 1000) + "\r\n"); ; {
				if _, err := c.Write(line); err != nil {
					return
				}
			}
		}, "The connection failed."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			must(t, err)
			done := make(chan struct{})
			go func() {
				defer close(done)
				if c, err := listener.Accept(); err == nil {
					tt.serve(c)
					_ = c.Close()
				}
			}()
			limit := 100 * time.Millisecond
			if name == "endless" {
				limit = time.Minute
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			values := valid()["email"]
			values["port"] = strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
			err = email{}.Send(ctx, wire(), Target{Values: values}, message())
			if failure, ok := errors.AsType[*SendError](err); !ok || failure.Text != tt.want {
				t.Errorf("%#v", err)
			}
			_ = listener.Close()
			<-done
		})
	}
}
