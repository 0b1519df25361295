package app

import (
	"net"
	"net/netip"
	"sync/atomic"
)

// ownListeners are the addresses this process listens on. No connection may lead back to them, whatever
// the egress rules say: a call could otherwise go round in circles, or reach what is meant for people.
type ownListeners struct {
	open atomic.Pointer[[]netip.AddrPort]
	// console is the address of the one for people.
	console atomic.Pointer[string]
}

// set replaces the addresses; listeners that are not TCP are left out.
func (o *ownListeners) set(servers []server) {
	var open []netip.AddrPort
	for _, s := range servers {
		if s.name == "console" {
			o.console.Store(&s.address)
		}
		if tcp, ok := s.listener.Addr().(*net.TCPAddr); ok {
			open = append(open, tcp.AddrPort())
		}
	}
	o.open.Store(&open)
}

// admitted is the one address of this host that connections may lead to beyond the egress rules: the
// pretend provider of the demonstration, while it listens. The zero value admits nothing.
type admitted struct {
	address atomic.Pointer[netip.AddrPort]
}

// set admits address instead of the one before; the zero value admits none.
func (a *admitted) set(address netip.AddrPort) { a.address.Store(&address) }

// get returns the admitted address; the zero value when there is none.
func (a *admitted) get() netip.AddrPort {
	if address := a.address.Load(); address != nil {
		return *address
	}
	return netip.AddrPort{}
}

// has reports whether addr is the admitted address.
func (a *admitted) has(addr netip.AddrPort) bool { return addr.IsValid() && a.get() == addr }

// has reports whether a dial to addr would end at one of our listeners.
func (o *ownListeners) has(addr netip.AddrPort) bool {
	open := o.open.Load()
	if open == nil {
		return false
	}
	for _, own := range *open {
		ip := own.Addr().Unmap()
		if own.Port() == addr.Port() && (ip.IsUnspecified() || ip == addr.Addr().Unmap()) {
			return true
		}
	}
	return false
}
