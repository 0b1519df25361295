package connections

import (
	"sync"
	"sync/atomic"

	"switchgear/internal/credentials"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/runtime/egress/http1"
)

// transports are those of one version of a connection: one that its accounts share, and one for each account
// that presents a client certificate, for each version of its credential.
type transports struct {
	shared *transport
	own    map[string]ownTransport
}

// ownTransport is the transport of a version of a credential.
type ownTransport struct {
	credential string
	version    int64
	*transport
}

// newTransports takes over from kept what still holds.
func newTransports(guard Egress, set *credentials.Set, kept transports) transports {
	t := transports{shared: kept.shared}
	if t.shared == nil {
		t.shared = newTransport(guard, func() (egress.TransportConfig, error) { return egress.TransportConfig{}, nil })
	}
	for _, account := range set.CertificateAccounts() {
		if t.own == nil {
			t.own = map[string]ownTransport{}
		}
		id, version := set.Identity(account)
		if old, ok := kept.own[account]; ok && old.credential == id && old.version == version {
			t.own[account] = old
			continue
		}
		open := set.ClientTLS(account)
		t.own[account] = ownTransport{credential: id, version: version, transport: newTransport(guard, func() (egress.TransportConfig, error) {
			c, err := open()
			return egress.TransportConfig{RootCAs: c.Authorities, ClientCertificate: c.Certificate}, err
		})}
	}
	return t
}

// of is the transport for the calls of an account.
func (t transports) of(account string) (*http1.Transport, error) {
	if own, ok := t.own[account]; ok {
		return own.get()
	}
	return t.shared.get()
}

// retire closes what next does not go on with; nil goes on with nothing.
func (t transports) retire(next *entry) {
	if next == nil || next.shared != t.shared {
		t.shared.retire()
	}
	for account, own := range t.own {
		if next == nil || next.own[account].transport != own.transport {
			own.retire()
		}
	}
}

// transport makes a transport when the first call needs it: most of many connections are never called.
type transport struct {
	get  func() (*http1.Transport, error)
	made atomic.Pointer[http1.Transport]
}

func newTransport(guard Egress, config func() (egress.TransportConfig, error)) *transport {
	t := &transport{}
	t.get = sync.OnceValues(func() (*http1.Transport, error) {
		cfg, err := config()
		if err != nil {
			return nil, err
		}
		made := guard.NewCalls(cfg)
		t.made.Store(made)
		return made, nil
	})
	return t
}

// retire closes what no call uses. Calls under way finish.
func (t *transport) retire() {
	if made := t.made.Load(); made != nil {
		made.CloseIdleConnections()
	}
}
