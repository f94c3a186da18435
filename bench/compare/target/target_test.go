package target

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ringcore/ringcore/bench/compare/procfs"
)

// Every server that is installed comes up, answers all routes identically, and
// leaves no process behind.
func TestServers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("compare needs Linux")
	}
	dir := t.TempDir()
	for up := dir; len(up) > len(os.TempDir()); up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil { // Apache's workers are not root's
			t.Fatal(err)
		}
	}
	e := Env{Dir: dir, Root: filepath.Join(dir, "root"), Server: filepath.Join(dir, "server")}
	if err := Files(e.Root); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", e.Server, "github.com/ringcore/ringcore/bench/server").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	echo := []byte(strings.Repeat("e", 1024))
	requests := []Request{
		{"GET", "/plaintext", nil, []byte(Hello)},
		{"GET", "/10k", nil, []byte(strings.Repeat(Pattern, Ten/len(Pattern)))},
		{"GET", "/64k.bin", nil, []byte(strings.Repeat(Pattern, SixtyFour/len(Pattern)))},
		{"POST", "/echo", echo, echo},
		{"GET", "/slow?ms=50", nil, []byte("waited 50 ms\n")},
	}
	list := []Target{Ringcore("epoll", DefaultDispatch, "")}
	for _, p := range Peers() {
		if strings.HasPrefix(p.Name, "apache") || p.Name == "node" || p.Name == "nginx" {
			list = append(list, p) // the others are tested in their own module
		}
	}
	for _, target := range list {
		t.Run(target.Name, func(t *testing.T) {
			if why := target.Missing(); why != "" {
				t.Skip(why)
			}
			s, err := Start(t.Context(), target, e)
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range requests {
				if err := s.Check(t.Context(), q); err != nil {
					if target.Name == "nginx" && !exists("/usr/lib/nginx/modules/ngx_http_echo_module.so") && (q.Method == "POST" || q.Path == "/slow?ms=50") {
						t.Logf("without the echo module: %v", err)
						continue
					}
					t.Error(err)
				}
			}
			if err := s.Check(t.Context(), Request{"GET", "/plaintext", nil, []byte("something else")}); err == nil {
				t.Error("the wrong answer passed the check")
			}
			tree, err := procfs.Tree(s.PID)
			if err != nil {
				t.Error(err)
			}
			s.Stop()
			for _, pid := range tree {
				if _, err := procfs.Read(pid); err == nil {
					t.Errorf("process %d is still there", pid)
				}
			}
		})
	}
}

// A port on which a connection of an earlier server lingers is not free: not
// every server would take it.
func TestLingeringPort(t *testing.T) {
	port, err := freePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", addr(port))
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", addr(port))
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server.Close() // first: it lingers on this side
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	client.Close()
	ln.Close()
	nextPort = port
	next, err := freePort(t.Context())
	if err != nil || next == port {
		t.Errorf("port %d, %v", next, err)
	}
}

func TestRingcoreNames(t *testing.T) {
	for want, got := range map[string]Target{
		"io_uring":             Ringcore("io_uring", "adaptive", "best"),
		"epoll-inline":         Ringcore("epoll", "inline", ""),
		"io_uring@6.0":         Ringcore("io_uring", "adaptive", "6.0"),
		"io_uring-inline@5.19": Ringcore("io_uring", "inline", "5.19"),
		"epoll-pooled":         Ringcore("epoll", "pooled", "best"),
	} {
		if got.Name != want || !got.Ours || got.Blocks != strings.Contains(want, "inline") {
			t.Errorf("%+v, want %s", got, want)
		}
	}
}
