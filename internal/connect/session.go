package connect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/webaddress"
)

const (
	defaultSessionLife = time.Hour
	maxSessionLife     = 7 * 24 * time.Hour
	maxLabel           = 200
)

// The states of a session. That it has expired is told to whoever looks, and not stored.
const (
	SessionPending = "pending"
	SessionDone    = "done"
	SessionFailed  = "failed" // the last try; the link can be used again until it expires
	SessionRevoked = "revoked"
	SessionExpired = "expired"
	// sessionUsed is while the account is being stored, and for good when the process ends meanwhile.
	sessionUsed = "used"
)

// Session is a link by which somebody without access to the console connects one account.
type Session struct {
	ID, ConnectionID, Slug, Account string
	// Label says who asks, or what for; it is shown on the page.
	Label  string
	Scopes []string
	// ReturnURL is where the browser goes afterwards; empty is a page of ours.
	ReturnURL string
	// ChannelID is the alert channel that is told of the end; empty is none.
	ChannelID                     string
	Status                        string
	Code, Problem                 string
	Actor                         Actor
	CreatedAt, ExpiresAt, EndedAt time.Time
	// Older are the ids of links for the same account that could still be used when this one was made, the newest
	// first and at most 100; whoever makes one is told, and nobody else.
	Older     []string
	authority access.Actor
}

// NewSession is what somebody asks for.
type NewSession struct {
	Connection, Account, Label string
	// Scopes are those to ask for; nil are those of the connection.
	Scopes               []string
	ReturnURL, ChannelID string
	// Life is how long the link can be used. 0 = 1h, at most a week.
	Life time.Duration
}

// The audit actions of links. No entry holds one.
const (
	actionLinkCreate = "connect_link.create"
	actionLinkRevoke = "connect_link.withdraw"
)

// CreateSession makes a link. It needs configure, then and whenever the link is used: it dies with the
// right of who made it. The link is told this once; only a hash of it is stored. It is recorded in the audit log.
func (s *Service) CreateSession(ctx context.Context, a access.Actor, n NewSession) (Session, string, error) {
	if err := a.Require(access.PermissionConfigure); err != nil {
		return Session{}, "", err
	}
	now := db.Time(db.Micros(s.now()))
	if n.Account == "" {
		n.Account = credentials.DefaultAccount
	}
	if n.Life == 0 {
		n.Life = defaultSessionLife
	}
	n.Label = strings.TrimSpace(n.Label)
	switch {
	case n.Life < time.Minute || n.Life > maxSessionLife:
		return Session{}, "", fault.Field("INVALID_LIFE", "expires_in", "A link is valid for at least a minute and at most a week.")
	case len(n.Label) > maxLabel || strings.ContainsFunc(n.Label, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return Session{}, "", fault.Field("INVALID_LABEL", "label", "The label is one line of at most 200 bytes.")
	}
	if err := checkReturn(n.ReturnURL); err != nil {
		return Session{}, "", err
	}
	var err error
	if n.Scopes != nil {
		if n.Scopes, err = checkScopes(n.Scopes); err != nil {
			return Session{}, "", err
		}
	}
	c, err := s.accounts.Find(ctx, a, n.Connection)
	if fault.Is(err, fault.NotFound) {
		err = fault.Field("CONNECTION_NOT_FOUND", "connection", "There is no such connection.")
	}
	if err != nil {
		return Session{}, "", err
	}
	if err := connections.CheckAccount(n.Account); err != nil {
		return Session{}, "", err
	}
	if n.ChannelID != "" {
		if err := s.tell.Check(ctx, a, n.ChannelID); err != nil {
			return Session{}, "", err
		}
	}
	token := NewBinding()
	session := Session{
		ID: db.NewID("cns"), ConnectionID: c.ID, Slug: c.Slug, Account: n.Account, Label: n.Label, Scopes: n.Scopes, ReturnURL: n.ReturnURL,
		ChannelID: n.ChannelID, Status: SessionPending, Actor: Actor{Kind: a.Kind, ID: a.ID, Name: a.Name},
		CreatedAt: now, ExpiresAt: now.Add(n.Life), authority: a,
	}
	err = s.db.InTx(ctx, func(tx *db.Tx) error {
		a, err := s.authorize(ctx, tx, a)
		if err != nil {
			return err
		}
		session.authority = a
		if session.Older, err = s.store.openSessions(ctx, tx, session); err != nil {
			return err
		}
		if err := s.store.insertSession(ctx, tx, session, hash(token)); err != nil {
			return err
		}
		return s.audit.Record(ctx, tx, session.entry(a, actionLinkCreate))
	})
	if err != nil {
		return Session{}, "", fmt.Errorf("connect: create a session: %w", err)
	}
	return session, strings.TrimSuffix(s.publicURL(), "/") + "/connect/" + token, nil
}

// authorize checks within the change that the actor may make and withdraw links now: role and key may have changed
// since the request began.
func (s *Service) authorize(ctx context.Context, tx *db.Tx, a access.Actor) (access.Actor, error) {
	switch a.Kind {
	case access.KindAPIKey:
		usable, err := s.store.keyUsable(ctx, tx, a.ID, s.now())
		if err != nil {
			return a, fmt.Errorf("connect: read the API key: %w", err)
		}
		if !usable {
			return a, fault.New(fault.Unauthenticated, "INVALID_API_KEY", "This API key is not valid any more.")
		}
	case access.KindUser:
		role, err := s.store.role(ctx, tx, a.ID)
		if fault.Is(err, fault.NotFound) {
			return a, fault.New(fault.Unauthenticated, "", "Your account is no longer active.")
		}
		if err != nil {
			return a, fmt.Errorf("connect: read the actor: %w", err)
		}
		a.Role = role
	}
	return a, a.Require(access.PermissionConfigure)
}

// entry is what the record says of a link: which account of what, for whom and until when, and not the link.
func (s Session) entry(a access.Actor, action string) audit.Entry {
	details := map[string]string{"connection": s.Slug, "account": s.Account, "valid_until": s.ExpiresAt.UTC().Format(time.RFC3339)}
	if s.Label != "" {
		details["for"] = s.Label
	}
	if s.ReturnURL != "" {
		details["leads_back_to"] = host(s.ReturnURL)
	}
	if s.ChannelID != "" {
		details["tells"] = s.ChannelID
	}
	if s.Scopes != nil {
		details["scopes"] = strings.Join(s.Scopes, " ")
	}
	return audit.Entry{
		Actor: audit.Actor{Kind: a.Kind, ID: a.ID, Name: a.Name}, IP: a.IP, Action: action,
		Target: audit.Target{Kind: "connect_link", ID: s.ID, Name: "account " + s.Account + " of " + s.Slug}, Details: details,
	}
}

// checkReturn allows https, and http on this machine: the address gets no secret, but people are sent there.
func checkReturn(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	bad := err != nil || u.Host == "" || !webaddress.ValidPort(u) || u.User != nil || u.Fragment != "" || len(text) > 2000
	if !bad && u.Scheme != "https" {
		ip := net.ParseIP(u.Hostname())
		bad = u.Scheme != "http" || u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
	}
	if bad {
		return fault.Field("INVALID_RETURN_URL", "return_url", "It has to be a whole https:// address without user and fragment.")
	}
	return nil
}

// Session returns a session. It needs system:read.
func (s *Service) Session(ctx context.Context, a access.Actor, id string) (Session, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return Session{}, err
	}
	session, err := s.store.session(ctx, "id", id)
	if err != nil {
		return Session{}, noSession(err)
	}
	return session.at(s.now()), nil
}

// Sessions returns the newest sessions, of one connection or of all, and how many there are. It needs
// system:read.
func (s *Service) Sessions(ctx context.Context, a access.Actor, slug string, page, limit int) ([]Session, int, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return nil, 0, err
	}
	all, total, err := s.store.sessions(ctx, slug, page, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("connect: sessions: %w", err)
	}
	for i := range all {
		all[i] = all[i].at(s.now())
	}
	return all, total, nil
}

// RevokeSession ends a link that has not led to anything: nothing is stored by it after this returned. It needs
// configure, and is recorded in the audit log. A link that was used stays as it is; one whose account is being stored is a fault.Conflict
// LINK_IN_USE.
func (s *Service) RevokeSession(ctx context.Context, a access.Actor, id string) error {
	if err := a.Require(access.PermissionConfigure); err != nil {
		return err
	}
	session, err := s.store.session(ctx, "id", id)
	if err != nil {
		return noSession(err)
	}
	session.Status, session.EndedAt = SessionRevoked, db.Time(db.Micros(s.now()))
	var ok bool
	err = s.db.InTx(ctx, func(tx *db.Tx) error {
		a, err := s.authorize(ctx, tx, a)
		if err != nil {
			return err
		}
		if ok, err = s.store.revokeSession(ctx, tx, session); err != nil || !ok {
			return err
		}
		return s.audit.Record(ctx, tx, session.entry(a, actionLinkRevoke))
	})
	if err != nil {
		return fmt.Errorf("connect: withdraw %s: %w", session.ID, err)
	}
	if ok {
		return nil
	}
	if session, err = s.store.session(ctx, "id", id); err != nil || session.Status != sessionUsed {
		return err
	}
	// What is being stored cannot be called back, and to say that it was would be wrong.
	return fault.New(fault.Conflict, "LINK_IN_USE", "The link is being used at this moment, so it cannot be withdrawn any more.").
		WithSuggestion("Look at the account in a moment: revoke or delete it if it was not to be connected.")
}

// at is the session as it is at a time.
func (s Session) at(now time.Time) Session {
	if s.Status == sessionUsed {
		s.Status = SessionExpired
	}
	if s.usable() && !s.ExpiresAt.After(now) {
		s.Status = SessionExpired
	}
	return s
}

func (s Session) usable() bool { return s.Status == SessionPending || s.Status == SessionFailed }

// CodeLinkNotValid is the code of a link that was used or withdrawn, has expired, or whose maker has lost the right.
const CodeLinkNotValid = "LINK_NOT_VALID"

func noSession(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, CodeLinkNotValid,
			"This link is not valid any more: it was used or withdrawn, its time is over, or whoever made it may no longer do that.").
			WithSuggestion("Ask whoever sent it for a new one.")
	}
	return err
}

// lapsed is the error of a link whose maker has no right any more: they were disabled, or have another role, or
// the key was revoked or has expired. It is the same as for a link that has ended, which it has.
func lapsed(err error) error {
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Forbidden) {
		return noSession(fault.Newf(fault.NotFound, "lapsed: %v", err))
	}
	return err
}

// Visit is what the page of a link shows.
type Visit struct {
	Session
	// Name is that of the connection.
	Name string
	// Interactive says that the person consents at Server; otherwise the values of the auth type are asked for.
	Interactive bool
	Client      connections.TokenClient
	Connection  connections.Connection
}

// Visit opens the link with a token. The token is the right, as long as whoever made it has theirs. With an error that
// is not about the link but about the client of its account, the session is returned all the same.
func (s *Service) Visit(ctx context.Context, token, ip string) (Visit, error) {
	session, err := s.visited(ctx, token, ip)
	if err != nil {
		return Visit{}, err
	}
	c, err := s.accounts.Find(ctx, session.authority, session.Slug)
	if err != nil {
		return Visit{}, lapsed(err)
	}
	v := Visit{Session: session, Name: c.Name, Connection: c}
	client, err := s.accounts.TokenClient(ctx, session.authority, session.Slug, session.Account)
	switch {
	case err == nil:
		v.Interactive, v.Client = true, client
	case !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound):
		return v, lapsed(err)
	}
	return v, nil
}

func (s *Service) visited(ctx context.Context, token, ip string) (Session, error) {
	session, err := s.store.session(ctx, "token_hash", hash(token))
	if err != nil {
		return Session{}, noSession(err)
	}
	session = session.at(s.now())
	if !session.usable() {
		return Session{}, noSession(fault.Newf(fault.NotFound, "ended"))
	}
	session.authority.IP = ip
	return session, nil
}

// BeginSession starts the consent of a link in a browser. The answer counts with the right of who made it.
func (s *Service) BeginSession(ctx context.Context, token, binding, ip string) (Flow, error) {
	session, err := s.visited(ctx, token, ip)
	if err != nil {
		return Flow{}, err
	}
	f, err := s.begin(ctx, session.authority, session.Slug, session.Account, session.Scopes, binding, session.ID)
	return f, lapsed(err)
}

// Enter stores the values that the person of a link typed in, for a kind that needs no consent. origin is what
// they were shown that the connection goes to, as credentials.OriginOf has it: they entered them for nothing else.
func (s *Service) Enter(ctx context.Context, token, ip, origin string, values map[string]string) (Session, error) {
	session, err := s.visited(ctx, token, ip)
	if err != nil {
		return Session{}, err
	}
	if len(values) == 0 {
		return session, fault.New(fault.Invalid, "NOTHING_ENTERED", "Nothing was entered.")
	}
	if origin == "" {
		return session, connections.ErrMoved()
	}
	if err := s.claim(ctx, session); err != nil {
		return session, err
	}
	if _, err := s.accounts.PutAccount(ctx, session.authority, session.Slug, session.Account, connections.Auth{Fields: values, Origin: origin}, "Entered by a connect link."); err != nil {
		// The link can be used again. What was wrong is told on the page, and to nobody else.
		session.Status = SessionPending
		_, freed := s.store.endSession(context.WithoutCancel(ctx), session, true)
		return session, errors.Join(lapsed(err), freed)
	}
	session.Status, session.Code, session.Problem = SessionDone, "", ""
	return s.endSession(ctx, session, true)
}

// claim takes the right to use a link.
func (s *Service) claim(ctx context.Context, session Session) error {
	ok, err := s.store.claimSession(ctx, session.ID)
	if err != nil {
		return fmt.Errorf("connect: use %s: %w", session.ID, err)
	}
	if !ok {
		return noSession(fault.Newf(fault.NotFound, "used"))
	}
	return nil
}

// ofFlow is the session that a flow belongs to; nil for one of a person at the console.
func (s *Service) ofFlow(ctx context.Context, f Flow, ip string) (*Session, error) {
	if f.SessionID == "" {
		return nil, nil //nolint:nilnil // No session is what it means.
	}
	session, err := s.store.session(ctx, "id", f.SessionID)
	if err != nil {
		return nil, noSession(err)
	}
	if session = session.at(s.now()); !session.usable() {
		return nil, noSession(fault.Newf(fault.NotFound, "ended"))
	}
	session.authority.IP = ip
	return &session, nil
}

// endSession stores what became of a link, and tells whoever wants to know, unless the link had ended or is held by
// another: that stands, and is told by whoever did it. The account is stored by then: what fails here is told by the API all the same.
func (s *Service) endSession(ctx context.Context, session Session, claimed bool) (Session, error) {
	session.EndedAt = db.Time(db.Micros(s.now()))
	ok, err := s.store.endSession(ctx, session, claimed)
	if err != nil {
		return session, fmt.Errorf("connect: end %s: %w", session.ID, err)
	}
	if ok && session.ChannelID != "" {
		if err := s.tell.Ended(ctx, session); err != nil {
			s.logger.WarnContext(ctx, "nobody is told of the end of a connect link", "session_id", session.ID, "error", err)
		}
	}
	return session, nil
}

// Return is where the browser goes when a link has ended; empty is a page of ours.
func (s Session) Return() string {
	if s.ReturnURL == "" {
		return ""
	}
	u, err := url.Parse(s.ReturnURL)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("connect_session", s.ID)
	q.Set("status", s.Status)
	if s.Code != "" {
		q.Set("error", s.Code)
	}
	u.RawQuery = q.Encode()
	return u.String()
}
