package checklist

import (
	"fmt"
	"net/netip"
	"net/url"

	"switchgear/internal/fault"
	"switchgear/internal/runtime"
)

// authentication: a credential is stored, travels encrypted, and is accepted.
type authentication struct{}

func (authentication) Info() Info {
	return Info{
		ID: "authentication", Number: 3, Title: "Authentication implemented", Proof: ProofDrill,
		About: "A credential is stored and usable, it travels encrypted, and the upstream accepts it.",
	}
}

func (authentication) Relevant(f Facts) any {
	scheme := ""
	if u, err := url.Parse(f.Connection.BaseURL); err == nil {
		scheme = u.Scheme
	}
	c := f.Connection
	return struct {
		Scheme, Type, Mark string
		Fields             map[string]string
	}{scheme, c.AuthType, c.CredentialMark, c.AuthFields}
}

func (authentication) Configured(f Facts) Finding {
	c := f.Connection
	out := Finding{Verdict: VerdictFail, Measured: c.AuthType, Threshold: "a usable credential over TLS", Fix: PlaceCredential}
	u, err := url.Parse(c.BaseURL)
	switch {
	case f.Problem != nil:
		out.Measured = fault.CodeOf(f.Problem)
		out.Message = fmt.Sprintf("Calls are refused (%s): %s", out.Measured, fault.PublicMessage(f.Problem))
	case c.AuthType == "none":
		out.Message, out.Fix = "The auth type is none: 0 credentials go out with requests.", PlacePolicy
	case err == nil && u.Scheme == "http" && !onThisMachine(u.Hostname()):
		out.Measured, out.Fix = "http", PlacePolicy
		out.Message = "The address begins with http: the credential travels unencrypted to " + u.Host + "."
	default:
		out.Verdict, out.Fix = VerdictPass, PlaceNone
		out.Message = fmt.Sprintf("%s with %s stored sealed.", c.AuthType, count(int64(len(c.AuthSecrets)), "secret field"))
	}
	return out
}

// onThisMachine reports whether nothing of what is sent to a host leaves this machine.
func onThisMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// maxRefused is the part of the calls, in per cent, whose credential may not be accepted: one is renewed
// now and then while calls are under way.
const maxRefused = 1

func (authentication) Observed(f Facts) Finding {
	t := f.Traffic
	if out, ok := few(t); ok {
		return out
	}
	refused := share(t.Outcomes[runtime.OutcomeUnauthenticated], t.Calls)
	out := Finding{Verdict: VerdictPass, Measured: percent(refused), Threshold: "at most " + percent(maxRefused)}
	out.Message = fmt.Sprintf("The credential was not accepted (401) in %s of %s; %s.", out.Measured, count(t.Calls, "call"), lastGood(t))
	if refused > maxRefused {
		out.Verdict, out.Fix = VerdictFail, PlaceCredential
	}
	return out
}

func lastGood(t Traffic) string {
	if t.LastSuccess.IsZero() {
		return fmt.Sprintf("none of the last %d succeeded", t.Sampled)
	}
	return "the last good call was at " + t.LastSuccess.UTC().Format("2006-01-02 15:04 UTC")
}
