package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/config"
	"switchgear/internal/fault"
	"switchgear/internal/runtime/egress"
)

// The states of a finding.
const (
	FindingOK      = "ok"
	FindingWarning = "warning" // it works, and somebody should look
	FindingProblem = "problem"
)

// Finding is one thing that [Examine] looked at.
type Finding struct {
	Check   string `json:"check"`
	State   string `json:"state"`
	Message string `json:"message"`
}

const (
	littleSpace = 100 << 20
	someSpace   = 1 << 30
	largeWAL    = 512 << 20
	// skew is how far in the future what was written last may lie.
	skew = time.Minute
)

// Examine looks at everything that a console stands on, and changes nothing but what every command does that
// opens the database. While a server runs it is asked what it runs with, and that is looked at; otherwise it is
// cfg, which the next server would have.
func Examine(ctx context.Context, cfg config.Config, logger *slog.Logger) []Finding {
	d := &examination{cfg: cfg}
	d.directory()
	running := d.server(ctx)
	d.key()
	d.space()
	d.rules()
	d.listeners(ctx, running)
	if !d.has(db.FileName) {
		d.add("database", FindingWarning, "There is no database in "+absolute(cfg.Data)+" yet; console serve makes it.")
		return d.found
	}
	inside, err := Administer(ctx, cfg, logger, inspectStore(), struct{}{})
	if err != nil {
		d.add("database", FindingProblem, "It cannot be opened: "+fault.PublicMessage(err))
		return d.found
	}
	return append(d.found, inside...)
}

type examination struct {
	cfg      config.Config
	keyGiven bool // the master key is no file
	found    []Finding
}

func (d *examination) add(check, state, message string) {
	d.found = append(d.found, Finding{check, state, message})
}

func (d *examination) has(name string) bool {
	_, err := os.Lstat(filepath.Join(d.cfg.Data, name))
	return err == nil
}

// private adds a finding about who may read a file or a directory.
func (d *examination) private(check, path string, info os.FileInfo) {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		d.add(check, FindingProblem, fmt.Sprintf("%s has mode %04o: other users of this machine get at it. Take their rights away: chmod go= %s", path, mode, path))
		return
	}
	d.add(check, FindingOK, fmt.Sprintf("%s is private (mode %04o).", path, info.Mode().Perm()))
}

func (d *examination) directory() {
	path := absolute(d.cfg.Data)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		d.add("data directory", FindingWarning, path+" does not exist yet; console serve makes it.")
		return
	case err != nil:
		d.add("data directory", FindingProblem, "It cannot be looked at: "+err.Error())
		return
	case !info.IsDir():
		d.add("data directory", FindingProblem, path+" is not a directory.")
		return
	}
	d.private("data directory", path, info)
	if file := filepath.Join(path, db.FileName); d.has(db.FileName) {
		if info, err := os.Stat(file); err != nil {
			d.add("database file", FindingProblem, "It cannot be looked at: "+err.Error())
		} else {
			d.private("database file", file, info)
		}
	}
}

func (d *examination) key() {
	if d.keyGiven {
		d.add("master key", FindingOK, "It comes from SWITCHGEAR_KEY.")
		return
	}
	path := absolute(d.cfg.EffectiveKeyFile())
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && d.has(db.FileName):
		d.add("master key", FindingProblem, path+" is missing, and without it the credentials cannot be read. Put it back.")
	case errors.Is(err, os.ErrNotExist):
		d.add("master key", FindingWarning, path+" does not exist yet; console serve makes it.")
	case err != nil:
		d.add("master key", FindingProblem, "It cannot be looked at: "+err.Error())
	default:
		d.private("master key", path, info)
	}
}

func (d *examination) space() {
	path := d.cfg.Data
	if _, err := os.Stat(path); err != nil {
		path = filepath.Dir(absolute(path))
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		d.add("disk space", FindingWarning, "It is not known: "+err.Error())
		return
	}
	free := fs.Bavail * uint64(fs.Bsize) //nolint:gosec // A block size is positive.
	text := fmt.Sprintf("%d MiB are free.", free>>20)
	switch {
	case free < littleSpace:
		d.add("disk space", FindingProblem, text+" Writes fail soon: make room.")
	case free < someSpace:
		d.add("disk space", FindingWarning, text+" Make room before it runs out.")
	default:
		d.add("disk space", FindingOK, text)
	}
}

func (d *examination) rules() {
	rules, err := egress.ParseRules(d.cfg.EgressAllow)
	switch {
	case err != nil:
		d.add("egress rules", FindingProblem, err.Error())
	case len(rules) == 0:
		d.add("egress rules", FindingOK, "None: calls reach public addresses only.")
	default:
		names := make([]string, len(rules))
		for i, r := range rules {
			names[i] = r.String()
		}
		d.add("egress rules", FindingOK, "Opened beyond public addresses: "+strings.Join(names, ", ")+".")
	}
}

// server reports whether one runs on the data directory, and takes over what it runs with.
func (d *examination) server(ctx context.Context) bool {
	own := runsWith(d.cfg)
	d.keyGiven = own.KeyGiven
	conn, err := dialAdmin(ctx, d.cfg.Data)
	switch {
	case err == nil:
		d.takeOver(ctx, conn, own)
		return true
	case errors.Is(err, errNoServer):
		d.add("server", FindingOK, "None runs on this data directory. Key, egress rules and listeners are those of the environment of this command, which the next server has if it is started with the same.")
	default:
		d.add("server", FindingProblem, fault.PublicMessage(err))
	}
	return false
}

// takeOver asks the server at the other end for what it runs with.
func (d *examination) takeOver(ctx context.Context, conn net.Conn, own settings) {
	const answers = "It runs and answers on its admin socket. "
	runs, err := callAdmin[struct{}, settings](ctx, conn, tellSettings().name, struct{}{})
	if err != nil {
		d.add("server", FindingWarning, answers+"It does not tell what it runs with ("+strings.TrimSuffix(fault.PublicMessage(err), ".")+"), so key, egress rules and listeners are those of the environment of this command.")
		return
	}
	d.add("server", FindingOK, answers+"Key, egress rules and listeners are those that it runs with.")
	if names := own.differ(runs); len(names) > 0 {
		d.add("environment", FindingWarning, "This command has others than the server: "+strings.Join(names, ", ")+". A restart from here would change them.")
	}
	d.cfg.Addr, d.cfg.GatewayAddr, d.cfg.MetricsAddr, d.cfg.EgressAllow = runs.Addr, runs.GatewayAddr, runs.MetricsAddr, runs.EgressAllow
	d.cfg.KeyFile, d.keyGiven = runs.KeyFile, runs.KeyGiven
}

// settings are what a server runs with, as far as it can be looked at from outside.
type settings struct {
	Addr        string   `json:"addr"`
	GatewayAddr string   `json:"gateway_addr"`
	MetricsAddr string   `json:"metrics_addr"`
	EgressAllow []string `json:"egress_allow"`
	KeyFile     string   `json:"key_file"` // absolute
	KeyGiven    bool     `json:"key_given"`
}

func runsWith(cfg config.Config) settings {
	return settings{
		Addr: cfg.Addr, GatewayAddr: cfg.GatewayAddr, MetricsAddr: cfg.MetricsAddr, EgressAllow: cfg.EgressAllow,
		KeyFile: absolute(cfg.EffectiveKeyFile()), KeyGiven: !cfg.Key.IsZero(),
	}
}

// differ names what is not the same in other.
func (s settings) differ(other settings) (names []string) {
	for _, f := range []struct {
		name string
		same bool
	}{
		{"SWITCHGEAR_ADDR", s.Addr == other.Addr},
		{"SWITCHGEAR_GATEWAY_ADDR", s.GatewayAddr == other.GatewayAddr},
		{"SWITCHGEAR_METRICS_ADDR", s.MetricsAddr == other.MetricsAddr},
		{"SWITCHGEAR_EGRESS_ALLOW", slices.Equal(s.EgressAllow, other.EgressAllow)},
		{"SWITCHGEAR_KEY", s.KeyGiven == other.KeyGiven},
		{"SWITCHGEAR_KEY_FILE", s.KeyFile == other.KeyFile || s.KeyGiven || other.KeyGiven},
	} {
		if !f.same {
			names = append(names, f.name)
		}
	}
	return names
}

// tellSettings is what a running server answers about itself.
func tellSettings() Operation[struct{}, settings] {
	return Operation[struct{}, settings]{name: "settings", run: func(_ context.Context, c *core, actor access.Actor, _ struct{}) (settings, error) {
		return runsWith(c.cfg), actor.Require(access.PermissionAuditRead)
	}}
}

// listeners looks whether the addresses are the server's, or free for it.
func (d *examination) listeners(ctx context.Context, running bool) {
	for _, l := range []struct{ name, address string }{
		{"listener", d.cfg.Addr}, {"gateway listener", d.cfg.GatewayAddr}, {"metrics listener", d.cfg.MetricsAddr},
	} {
		host, port, err := net.SplitHostPort(l.address)
		switch {
		case l.address == "":
		case err != nil:
			d.add(l.name, FindingProblem, l.address+" is not an address.")
		case port == "0":
			d.add(l.name, FindingOK, "The system chooses a port of "+host+".")
		case running && l.name == "metrics listener":
			d.add(l.name, FindingOK, l.address+" belongs to the server.")
		case running:
			d.ready(ctx, l.name, l.address)
		default:
			d.free(ctx, l.name, l.address)
		}
	}
}

func (d *examination) ready(ctx context.Context, name, address string) {
	host, port, _ := net.SplitHostPort(address) // It was checked.
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", http.NoBody)
	if err != nil {
		d.add(name, FindingProblem, address+" is not an address.")
		return
	}
	// Its own listener is an address that calls never reach.
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.URL.Host)
	if err != nil {
		d.add(name, FindingProblem, "The server does not answer on "+address+": "+err.Error())
		return
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	r.Close = true
	err = r.Write(conn)
	resp := &http.Response{}
	if err == nil {
		resp, err = http.ReadResponse(bufio.NewReader(conn), r) //nolint:bodyclose // With the connection.
	}
	if err != nil {
		d.add(name, FindingProblem, "The server does not answer on "+address+": "+err.Error())
		return
	}
	if resp.StatusCode != http.StatusOK {
		d.add(name, FindingProblem, fmt.Sprintf("The server answers on %s that it is not ready (%d).", address, resp.StatusCode))
		return
	}
	d.add(name, FindingOK, "The server is ready on "+address+".")
}

func (d *examination) free(ctx context.Context, name, address string) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		d.add(name, FindingProblem, "The server could not listen on "+address+": "+err.Error())
		return
	}
	_ = l.Close()
	d.add(name, FindingOK, address+" is free.")
}

// inspectStore looks at the database from within.
func inspectStore() Operation[struct{}, []Finding] {
	return Operation[struct{}, []Finding]{name: "doctor", run: func(ctx context.Context, c *core, actor access.Actor, _ struct{}) ([]Finding, error) {
		if err := actor.Require(access.PermissionAuditRead); err != nil {
			return nil, err
		}
		info, err := c.db.Info(ctx)
		if err != nil {
			return nil, err
		}
		d := &examination{}
		d.add("database settings", FindingOK, fmt.Sprintf("%d settings of SQLite %s were read back as they must be; journal %s, synchronous %s.",
			len(info.Pragmas), info.SQLiteVersion, info.Pragmas["journal_mode"], info.Pragmas["synchronous"]))
		d.add("migrations", FindingOK, fmt.Sprintf("The schema is at version %d, the newest of this program.", info.SchemaVersion))
		damages, err := c.db.Check(ctx)
		switch {
		case err != nil:
			return nil, err
		case len(damages) > 0:
			d.add("integrity", FindingProblem, "The database is damaged: "+strings.Join(damages, "; ")+". Keep the file and restore a copy of it.")
		default:
			d.add("integrity", FindingOK, "No damage in "+sizeText(info.SizeBytes+info.WALBytes)+", the journal included.")
		}
		if problem := c.db.WriteProblem(); problem != nil {
			d.add("writes", FindingProblem, "The last write failed: "+fault.PublicMessage(problem))
		}
		if info.WALBytes > largeWAL {
			d.add("journal", FindingWarning, fmt.Sprintf("The journal has %d MiB: something reads for long and keeps it from being emptied.", info.WALBytes>>20))
		}
		return append(d.found, c.clock(ctx, time.Now())), nil
	}}
}

// clock compares the time with the newest entry of the audit log: a clock that was set back is behind it.
func (c *core) clock(ctx context.Context, now time.Time) Finding {
	page, err := c.audit.Search(ctx, audit.Query{Limit: 1})
	switch {
	case err != nil:
		return Finding{"clock", FindingWarning, "It cannot be compared with the audit log: " + fault.PublicMessage(err)}
	case len(page.Entries) == 0:
		return Finding{"clock", FindingOK, "It says " + now.UTC().Format(time.RFC3339) + "; there is nothing to compare it with yet."}
	case page.Entries[0].At.After(now.Add(skew)):
		return Finding{"clock", FindingProblem, fmt.Sprintf("It says %s, but the audit log ends %s later. It was set back: check it.",
			now.UTC().Format(time.RFC3339), page.Entries[0].At.Sub(now).Round(time.Second))}
	default:
		return Finding{"clock", FindingOK, "It says " + now.UTC().Format(time.RFC3339) + ", which is after everything in the audit log."}
	}
}

// sizeText is a size in the unit in which it is not nothing.
func sizeText(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", (n+1023)>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
