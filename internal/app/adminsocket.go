package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/config"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// adminSocketName is the socket's name inside the data directory.
const adminSocketName = "admin.sock"

// maxAdminBody bounds a request over the admin socket.
const maxAdminBody = 1 << 20

type peerKey struct{}

// adminServer answers administrative commands on a unix socket inside the data directory. Its mode
// (0600, in a 0700 directory) is the permission: who may open it may already read the database. The
// kernel tells who is calling, and the audit log names them.
func newAdminServer(c *core, logger *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mountOperation(mux, c, logger, CreateUser())
	mountOperation(mux, c, logger, SetPassword())
	mountOperation(mux, c, logger, CreateKey())
	mountOperation(mux, c, logger, VerifyAudit())
	mountOperation(mux, c, logger, SendCall())
	mountOperation(mux, c, logger, inspectStore())
	mountOperation(mux, c, logger, tellSettings())
	mountOperation(mux, c, logger, RotateKeys())
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, peerOf(conn))
		},
	}
}

func mountOperation[Req, Res any](mux *http.ServeMux, c *core, logger *slog.Logger, op Operation[Req, Res]) {
	mux.HandleFunc("POST /"+op.name, func(w http.ResponseWriter, r *http.Request) {
		id := telemetry.NewRequestID()
		ctx := telemetry.WithRequestID(r.Context(), id)
		var req Req
		if err := json.NewDecoder(io.LimitReader(r.Body, maxAdminBody)).Decode(&req); err != nil {
			fault.WriteJSON(w, r, fault.New(fault.Invalid, "", "the request is not valid JSON"), id)
			return
		}
		if c.sealed != nil {
			fault.WriteJSON(w, r, fault.New(fault.Unavailable, "SEALED", "the running console is sealed: "+c.sealed.Reason), id)
			return
		}
		who, _ := ctx.Value(peerKey{}).(peer)
		if !who.trusted {
			fault.WriteJSON(w, r, fault.New(fault.Forbidden, "ADMIN_SOCKET_DENIED", "run this command as the user that runs the server"), id)
			return
		}
		res, err := op.run(ctx, c, access.CommandLine(who.name), req)
		if err != nil {
			if fault.KindOf(err).Status() >= http.StatusInternalServerError {
				logger.LogAttrs(ctx, slog.LevelError, "command failed", slog.String("operation", op.name),
					slog.String("request_id", id), slog.Any("error", err))
			}
			fault.WriteJSON(w, r, err, id)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(res) // the command is gone if this fails
	})
}

// peer is the process at the other end of the socket, as the kernel reports it.
type peer struct {
	name string
	// trusted is true for root and for the user that runs this process: the file's mode says the same,
	// and this holds also in the moment before the mode is set.
	trusted bool
}

func peerOf(conn net.Conn) peer {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return peer{}
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return peer{}
	}
	var p peer
	_ = raw.Control(func(fd uintptr) { // an error leaves p untrusted
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			p.name = loginName(strconv.FormatUint(uint64(cred.Uid), 10))
			p.trusted = cred.Uid == 0 || int(cred.Uid) == os.Getuid()
		}
	})
	return p
}

func loginName(uid string) string {
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return "uid " + uid
}

// adminSocketPath is the socket's place. A unix socket address holds at most 107 bytes, so a path in a
// deep directory is reached through the descriptor of that directory; release closes it.
func adminSocketPath(dataDir string) (path string, release func(), err error) {
	path = filepath.Join(dataDir, adminSocketName)
	if len(path) < 100 {
		return path, func() {}, nil
	}
	dir, err := os.Open(dataDir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), adminSocketName), func() { _ = dir.Close() }, nil
}

func listenAdmin(ctx context.Context, dataDir string) (net.Listener, error) {
	path, release, err := adminSocketPath(dataDir)
	if err != nil {
		return nil, err
	}
	defer release()
	// The lock on the data directory is ours, so a socket that is still there is a dead process's.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	// The path may go through a descriptor that is closed by now: the caller removes the file itself.
	if ul, ok := l.(*net.UnixListener); ok {
		ul.SetUnlinkOnClose(false)
	}
	return l, nil
}

// Administer runs an operation: through the admin socket while a server runs on the data directory, on
// the database itself when none does. A server that starts or stops in between makes it fail cleanly,
// never run twice.
func Administer[Req, Res any](ctx context.Context, cfg config.Config, logger *slog.Logger, op Operation[Req, Res], req Req) (res Res, err error) {
	conn, err := dialAdmin(ctx, cfg.Data)
	switch {
	case err == nil:
		return callAdmin[Req, Res](ctx, conn, op.name, req)
	case !errors.Is(err, errNoServer):
		return res, err
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, db.FileName)); errors.Is(err, os.ErrNotExist) && !op.creates {
		return res, fault.New(fault.NotFound, "NO_DATABASE", "there is no database in "+absolute(cfg.Data)).
			WithSuggestion("Start the command where the console runs, or say where its data is: --data DIR or SWITCHGEAR_DATA.")
	}
	stack := &cleanup{logger: logger}
	defer func() { err = errors.Join(err, stack.unwind(context.WithoutCancel(ctx))) }()
	c, err := openCore(ctx, cfg, logger, func(string) {}, stack)
	if err != nil {
		return res, err
	}
	if c.sealed != nil {
		return res, &credentials.SealedError{Sealed: *c.sealed}
	}
	if op.works {
		stop, err := c.work(ctx)
		if err != nil {
			return res, err
		}
		defer stop()
	}
	return op.run(telemetry.WithRequestID(ctx, telemetry.NewRequestID()), c, access.CommandLine(loginName(strconv.Itoa(os.Getuid()))), req)
}

// errNoServer means that no server runs on the data directory.
var errNoServer = errors.New("no server is running")

// dialAdmin connects to a running server, or returns errNoServer.
func dialAdmin(ctx context.Context, dataDir string) (net.Conn, error) {
	path, release, err := adminSocketPath(dataDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errNoServer
	}
	if err != nil {
		return nil, err
	}
	defer release()
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, errNoServer
	case errors.Is(err, os.ErrPermission):
		return nil, fault.New(fault.Forbidden, "ADMIN_SOCKET_DENIED",
			"a server runs on "+dataDir+", but its admin socket belongs to another user; run this command as that user")
	case err != nil:
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	return conn, nil
}

// callAdmin sends one request over conn and closes it.
func callAdmin[Req, Res any](ctx context.Context, conn net.Conn, name string, req Req) (res Res, err error) {
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	body, err := json.Marshal(req)
	if err != nil {
		return res, err
	}
	hr, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin/"+name, bytes.NewReader(body))
	if err != nil {
		return res, err
	}
	hr.Close = true
	if err := hr.Write(conn); err != nil {
		return res, adminLost(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), hr)
	if err != nil {
		return res, adminLost(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		var env fault.Envelope
		if err := json.NewDecoder(io.LimitReader(resp.Body, maxAdminBody)).Decode(&env); err != nil {
			return res, fault.Newf(fault.Unavailable, "the admin socket answered %s", resp.Status)
		}
		return res, fault.FromEnvelope(resp.StatusCode, env)
	}
	// A verify report may name every row: no cap on what our own server says.
	if err := json.NewDecoder(resp.Body).Decode(&res); err != nil {
		return res, adminLost(err)
	}
	return res, nil
}

func adminLost(cause error) error {
	return fault.Wrap(cause, fault.Unavailable, "ADMIN_SOCKET_LOST",
		"the server stopped answering on its admin socket; look at the result before you repeat the command")
}
