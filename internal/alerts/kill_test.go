package alerts

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"switchgear/db"
)

// killEnv makes the test binary play another process, which fires an alert in a data directory: "where it is
// killed|directory|address of the receiver".
const killEnv = "SWITCHGEAR_ALERTS_TEST_CHILD"

// TestKilled kills a process with SIGKILL between the commit of an alert and its message, and in the middle of
// sending it: the next process sends it, once more, with the same id.
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"committed", "sending"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var once sync.Once
			begun, hang := make(chan struct{}), make(chan struct{})
			rec := newReceiver(t, func(n int, _ http.ResponseWriter, _ *http.Request) {
				if at == "sending" && n == 1 {
					once.Do(func() { close(begun) })
					<-hang
				}
			})
			defer close(hang)
			binary, err := os.Executable()
			must(t, err)
			cmd := exec.CommandContext(t.Context(), binary, "-test.run=^TestKilledChild$")
			cmd.Env, cmd.Stderr = append(os.Environ(), killEnv+"="+at+"|"+dir+"|"+rec.URL), os.Stderr
			out, err := cmd.StdoutPipe()
			must(t, err)
			must(t, cmd.Start())
			id, said, lines := "", []string(nil), bufio.NewScanner(out)
			for id == "" && lines.Scan() {
				if text, ok := strings.CutPrefix(lines.Text(), "committed "); ok {
					id = text
				}
				said = append(said, lines.Text())
			}
			if id == "" {
				t.Fatalf("the child ended by itself: %v\n%s", cmd.Wait(), strings.Join(said, "\n"))
			}
			ended := make(chan struct{})
			go func() { // What it says next is why it failed; it says nothing until it is killed.
				defer close(ended)
				for lines.Scan() {
					said = append(said, lines.Text())
				}
			}()
			if at == "sending" {
				select {
				case <-begun:
				case <-ended:
					t.Fatalf("the child did not send: %v\n%s", cmd.Wait(), strings.Join(said, "\n"))
				}
			}
			must(t, cmd.Process.Kill())
			<-ended
			if err := cmd.Wait(); err == nil {
				t.Fatalf("the child ended by itself:\n%s", strings.Join(said, "\n"))
			}

			d, err := db.Open(t.Context(), db.Config{Dir: dir})
			must(t, err)
			defer func() { _ = d.Close() }()
			w := newWorldOn(t, d)
			w.pass(time.Second)
			must(t, w.store.takeOver(t.Context(), w.sender.boot, w.now()))
			w.send()
			all := w.sent()
			if len(all) != 1 || all[0].ID != id || all[0].State != NotificationDelivered {
				t.Fatalf("%+v", all)
			}
			want := map[string]int{"committed": 1, "sending": 2}[at]
			got := rec.all()
			if len(got) != want {
				t.Errorf("%d messages, want %d", len(got), want)
			}
			for _, g := range got {
				if g.header.Get("Webhook-Id") != id {
					t.Errorf("the id is %s, want %s", g.header.Get("Webhook-Id"), id)
				}
			}
		})
	}
}

// TestKilledChild is the other process of TestKilled, and nothing by itself.
func TestKilledChild(t *testing.T) {
	t.Parallel()
	part := strings.Split(os.Getenv(killEnv), "|")
	if len(part) != 3 {
		return
	}
	at, dir, url := part[0], part[1], part[2]
	d, err := db.Open(t.Context(), db.Config{Dir: dir})
	must(t, err)
	w := newWorldOn(t, d)
	w.connect("stripe")
	w.fire(w.webhook("hook", url).ID)
	if _, err := os.Stdout.WriteString("\ncommitted " + w.sent()[0].ID + "\n"); err != nil {
		t.Fatal(err)
	}
	if at == "sending" {
		w.send()
	}
	<-t.Context().Done()
}
