//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/bench/load/gen"
)

// patience bounds every wait of these tests.
const patience = 60 * time.Second

var buildDir string

func TestMain(m *testing.M) {
	code := m.Run()
	if buildDir != "" {
		_ = os.RemoveAll(buildDir)
	}
	os.Exit(code)
}

// programs builds load and the bench server once, as `go build` does.
var programs = sync.OnceValues(func() (dir string, err error) {
	if buildDir, err = os.MkdirTemp("", "ringcore-load"); err != nil {
		return "", err
	}
	for _, name := range []string{"load", "server"} {
		out, err := exec.Command("go", "build", "-o", filepath.Join(buildDir, name), "../"+name).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("go build: %w\n%s", err, out)
		}
	}
	return buildDir, nil
})

func program(t *testing.T, name string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// startServer starts the bench server for a test's length.
func startServer(t *testing.T) (url string) {
	t.Helper()
	cmd := exec.Command(program(t, "server"), "-addr", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the server does not run: %v", err)
	}
	return regexp.MustCompile(`http://\S+`).FindString(line)
}

// runLoad runs the program within this process and returns its report.
func runLoad(t *testing.T, want int, args ...string) *gen.Report {
	t.Helper()
	var out, err bytes.Buffer
	if status := run(append([]string{"-json", "-"}, args...), &out, &err); status != want {
		t.Fatalf("%v: status %d, want %d: %s%s", args, status, want, err.String(), out.String())
	}
	return parse(t, out.Bytes())
}

func parse(t *testing.T, text []byte) *gen.Report {
	t.Helper()
	var r gen.Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return &r
}

func TestReport(t *testing.T) {
	url := startServer(t)
	r := runLoad(t, 0, "-n", "1000", "-c", "10", "-length", "13", "-curve", url+"/plaintext")
	if r.Format != 1 || r.Target != url || r.Requests != 1000 || r.Connections != 10 || len(r.LatencyCurve) == 0 || r.Mix[0].Path != "/plaintext" {
		t.Errorf("%+v", r)
	}
	if r := runLoad(t, 3, "-n", "100", url+"/status?code=503"); r.Requests != 0 || r.Errors["status"] != 100 || r.Statuses["503"] != 100 {
		t.Errorf("%+v", r)
	}
	file := filepath.Join(t.TempDir(), "report")
	var out, errs bytes.Buffer
	if status := run([]string{"-json", file, "-n", "10", "-c", "1", url + "/"}, &out, &errs); status != 0 || errs.Len() > 0 {
		t.Errorf("status %d: %s", status, errs.String())
	}
	text, err := os.ReadFile(file)
	if err != nil || parse(t, text).Requests != 10 || !strings.Contains(out.String(), "10 requests in") {
		t.Errorf("%v, %q; %q", err, text, out.String())
	}
}

// 10,000 connections, made a few at a time, and all of them used.
func TestManyConnections(t *testing.T) {
	const conns = 10_000
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Max < conns+500 {
		t.Skipf("needs %d file descriptors, the limit is %d", conns+500, limit.Max)
	}
	url := startServer(t)
	for _, driver := range []string{"io_uring", "epoll"} {
		t.Run(driver, func(t *testing.T) {
			requireDriver(t, driver)
			r := runLoad(t, 0, "-driver", driver, "-c", strconv.Itoa(conns), "-n", "30000", "-timeout", "30s", url+"/plaintext")
			if r.Requests != 30_000 || r.Connects != conns || r.Reconnects != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func requireDriver(t *testing.T, driver string) {
	t.Helper()
	if r, err := gen.Run(t.Context(), gen.Config{Target: "http://127.0.0.1:1", Driver: driver, Connections: -1}); err == nil || !strings.Contains(err.Error(), "connections") {
		t.Fatalf("%+v, %v", r, err)
	}
	if driver == "io_uring" {
		if err := probe(); err != nil {
			t.Skipf("io_uring cannot be had here: %v", err)
		}
	}
}

// A first Ctrl-C ends the run, with a report of what there was.
func TestCtrlC(t *testing.T) {
	const connections = 4
	var requests atomic.Int64
	seen := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) == connections+1 {
			close(seen)
		}
		fmt.Fprint(w, "hi")
	}))
	defer s.Close()
	cmd := exec.Command(program(t, "load"), "-d", "1h", "-c", strconv.Itoa(connections), "-json", "-", s.URL)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-seen: // the second request of a connection: its first has been answered
	case <-time.After(patience):
		t.Fatal("no request")
	}
	_ = cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	r := parse(t, out.Bytes())
	if cmd.ProcessState.ExitCode() != 130 || !r.Interrupted || r.Requests == 0 || len(r.Errors) > 0 || errs.Len() > 0 {
		t.Errorf("status %v, %q: %+v", cmd.ProcessState, errs.String(), r)
	}
}

// On a terminal, and only there, the progress is shown, and wiped at the end.
func TestProgress(t *testing.T) {
	if p := newProgress(&bytes.Buffer{}); p.onTick() != nil {
		t.Error("progress for no terminal")
	}
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	defer master.Close()
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	defer slave.Close()
	p := newProgress(slave)
	tick := p.onTick()
	tick(gen.Progress{Phase: "measuring", Elapsed: 5, Total: 10, Done: 100, RequestsPerS: 1234, Connections: 64, P50Us: 50, P99Us: 500, Errors: 3})
	p.finish()
	fmt.Fprintln(slave, "END")
	var shown []byte
	for buf := make([]byte, 4096); !bytes.Contains(shown, []byte("END")); {
		k, err := master.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, buf[:k]...)
	}
	for _, want := range []string{"50%", "measuring, 64 connections, 1234/s, p50 50µs, p99 500µs, 3 errors"} {
		if !strings.Contains(string(shown), want) {
			t.Errorf("no %q in %q", want, shown)
		}
	}
}
