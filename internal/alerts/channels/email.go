package channels

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchgear/internal/fault"
)

// The ways to a mail server. There is none without encryption.
const (
	securityStartTLS = "starttls"
	securityTLS      = "tls"
)

const maxRecipients = 20

// email hands a message to a mail server.
type email struct{}

func (email) Info() Info {
	return Info{
		ID: "email", Label: "E-mail", About: "A plain message over a mail server (SMTP), always encrypted on the way there.",
		Fields: []Field{
			{Key: "host", Label: "Mail server", Type: FieldText, Required: true},
			{Key: "port", Label: "Port", Type: FieldText, Default: "587", Help: "587 with STARTTLS, 465 with TLS; another port needs an egress rule."},
			{Key: "security", Label: "Encryption", Type: FieldSelect, Options: []string{securityStartTLS, securityTLS}, Default: securityStartTLS},
			{Key: "username", Label: "User name", Type: FieldText, Help: "Leave it empty for a server that asks for none."},
			{Key: "password", Label: "Password", Type: FieldSecret, Secret: true},
			{Key: "from", Label: "From", Type: FieldText, Required: true},
			{Key: "to", Label: "To", Type: FieldList, Required: true, Help: "Addresses, divided by commas."},
		},
	}
}

func (email) Check(values map[string]string) error {
	bad := func(key, message string) error { return fault.Field("INVALID_CHANNEL", FieldPath(key), message) }
	if n, err := strconv.ParseUint(values["port"], 10, 16); err != nil || n == 0 {
		return bad("port", "It must be a number from 1 to 65535.")
	}
	if strings.ContainsAny(values["host"], "/:@ []") {
		return bad("host", "It must be the name of a host, without a port.")
	}
	if _, err := mail.ParseAddress(values["from"]); err != nil {
		return bad("from", "It must be an e-mail address.")
	}
	to, err := mail.ParseAddressList(values["to"])
	if err != nil || len(to) > maxRecipients {
		return bad("to", fmt.Sprintf("It must be e-mail addresses, divided by commas, at most %d.", maxRecipients))
	}
	if (values["username"] == "") != (values["password"] == "") {
		return bad("password", "User name and password belong together.")
	}
	return nil
}

func (email) Send(ctx context.Context, w Wire, t Target, m Message) error {
	from, err := mail.ParseAddress(t.Values["from"])
	if err != nil {
		return &SendError{Text: "The sender is not an e-mail address.", Permanent: true}
	}
	to, err := mail.ParseAddressList(t.Values["to"])
	if err != nil {
		return &SendError{Text: "A recipient is not an e-mail address.", Permanent: true}
	}
	text, err := compose(from, to, m)
	if err != nil {
		return &SendError{Text: "The message cannot be encoded.", Permanent: true}
	}
	if err := deliver(ctx, w, t.Values, from, to, text); err != nil {
		return smtpFailure(err)
	}
	return nil
}

// compose makes the message. Every value of a header is made by mail or mime, or is one of ours.
func compose(from *mail.Address, to []*mail.Address, m Message) ([]byte, error) {
	recipients := make([]string, len(to))
	for i, a := range to {
		recipients[i] = a.String()
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	domain = oneLine(domain)
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", from.String()},
		{"To", strings.Join(recipients, ", ")},
		{"Subject", mime.QEncoding.Encode("utf-8", clip(m.Title(), 200))},
		{"Date", m.At.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + oneLine(m.ID) + "@" + domain + ">"},
		{"References", thread(m.AlertID, domain)},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		if h[1] == "" {
			continue
		}
		if strings.ContainsAny(h[1], "\r\n") && h[0] != "Subject" {
			return nil, errors.New("a header with a line break")
		}
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	body := quotedprintable.NewWriter(&b)
	lines := []string{m.Title(), "", strings.TrimSpace(m.Why), ""}
	for _, f := range m.facts() {
		lines = append(lines, f.name+": "+oneLine(f.value))
	}
	if m.URL != "" {
		lines = append(lines, "", m.URL)
	}
	if _, err := io.WriteString(body, strings.Join(lines, "\r\n")+"\r\n"); err != nil {
		return nil, err
	}
	err := body.Close()
	return b.Bytes(), err
}

// thread lets a mail program show what belongs to one alert together.
func thread(alertID, domain string) string {
	if alertID == "" {
		return ""
	}
	return "<" + oneLine(alertID) + "@" + domain + ">"
}

// deliver speaks to the mail server. What ends ctx ends the conversation.
func deliver(ctx context.Context, w Wire, values map[string]string, from *mail.Address, to []*mail.Address, text []byte) (err error) {
	host := values["host"]
	dialled, err := w.Dial(ctx, "tcp", net.JoinHostPort(host, values["port"]))
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = dialled.Close() })()
	defer func() {
		_ = dialled.Close()
		if ctx.Err() != nil && err != nil { // closed because the time was over
			err = context.DeadlineExceeded
		}
	}()
	var conn net.Conn = &capped{Conn: dialled, left: maxAnswer}
	encryption := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, RootCAs: w.RootCAs}
	if values["security"] == securityTLS {
		conn = tls.Client(conn, encryption)
	}
	client, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	if values["security"] != securityTLS {
		if ok, _ := client.Extension("STARTTLS"); !ok {
			return &SendError{Text: "The mail server offers no STARTTLS, so nothing was sent.", Permanent: true}
		}
		if err := client.StartTLS(encryption); err != nil {
			return err
		}
	}
	if err := signIn(client, host, values["username"], values["password"]); err != nil {
		return err
	}
	if err := client.Mail(from.Address); err != nil {
		return err
	}
	for _, a := range to {
		if err := client.Rcpt(a.Address); err != nil {
			return err
		}
	}
	data, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := data.Write(text); err != nil {
		return err
	}
	if err := data.Close(); err != nil {
		return err
	}
	_ = client.Quit() // the message is accepted whatever becomes of the farewell
	return nil
}

func signIn(client *smtp.Client, host, username, password string) error {
	if username == "" {
		return nil
	}
	_, offered := client.Extension("AUTH")
	switch methods := strings.Fields(strings.ToUpper(offered)); {
	case slices.Contains(methods, "PLAIN"):
		return client.Auth(smtp.PlainAuth("", username, password, host))
	case slices.Contains(methods, "LOGIN"):
		return client.Auth(&login{username, password})
	}
	return &SendError{Text: "The mail server offers no way to sign in with a password.", Permanent: true}
}

// login is the method that some servers offer in place of PLAIN.
type login struct{ username, password string }

// Start implements smtp.Auth.
func (*login) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !server.TLS {
		return "", nil, errors.New("the connection is not encrypted")
	}
	return "LOGIN", nil, nil
}

// Next implements smtp.Auth.
func (l *login) Next(asked []byte, more bool) ([]byte, error) {
	switch question := strings.ToLower(string(asked)); {
	case !more:
		return nil, nil
	case strings.HasPrefix(question, "user"):
		return []byte(l.username), nil
	case strings.HasPrefix(question, "pass"):
		return []byte(l.password), nil
	}
	return nil, errors.New("an unknown question")
}

// capped bounds what is read of a server that does not stop talking.
type capped struct {
	net.Conn
	left int
}

// Read implements net.Conn.
func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("the answers are too long")
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// smtpFailure keeps the number of an answer and none of its words. That a mailbox is refused does not change by
// itself; a password, or a server that is not itself, may.
func smtpFailure(err error) error {
	if f, ok := errors.AsType[*SendError](err); ok {
		return f
	}
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		return &SendError{Text: fmt.Sprintf("The mail server answered %d.", answer.Code), Permanent: answer.Code >= 550 && answer.Code <= 554}
	}
	return &SendError{Text: words(err)}
}
