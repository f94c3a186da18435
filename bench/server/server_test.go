package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFlags(t *testing.T) {
	for _, args := range []string{
		"-driver kqueue", "-dispatch later", "-max-tier 7", "-loops -1", "-loops many", "-loops 1025",
		"-addr 8080", "-addr 127.0.0.1:http-or-so", "-addr 127.0.0.1:70000", "-root /does/not/exist",
		"-root handler.go", "-db-over sea", "-db-over loop -dispatch inline", "-verbose", "-quiet=maybe", "now",
	} {
		var out, errs bytes.Buffer
		code := run(strings.Fields(args), &out, &errs)
		if code != 2 || strings.Count(errs.String(), "\n") != 1 || out.Len() != 0 {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want 2 and one line on stderr", args, code, &out, &errs)
		}
	}
}

func TestHelp(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"-h"}, &out, &errs); code != 0 || errs.Len() != 0 {
		t.Fatalf("exit %d, stderr %q; want 0 and nothing", code, &errs)
	}
	for _, name := range []string{"-addr", "-driver", "-loops", "-procs", "-dispatch", "-max-tier", "-root", "-quiet"} {
		if !strings.Contains(out.String(), name) {
			t.Errorf("the help does not mention %s", name)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	var out, errs bytes.Buffer
	code := run([]string{"-addr", ln.Addr().String()}, &out, &errs)
	if code != 1 || strings.Count(errs.String(), "\n") != 1 || out.Len() != 0 {
		t.Errorf("exit %d, stdout %q, stderr %q; want 1 and one line on stderr", code, &out, &errs)
	}
	if runtime.GOOS == "linux" && !strings.Contains(errs.String(), "address already in use") {
		t.Errorf("stderr %q does not name the cause", &errs)
	}
}

func TestServes(t *testing.T) {
	root := t.TempDir()
	file := bytes.Repeat([]byte("line of a file\n"), 20000)
	if err := os.WriteFile(filepath.Join(root, "file.txt"), file, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, s := range setups() {
		t.Run(s[0]+"/"+s[1], func(t *testing.T) {
			p := startServer(t, "-driver", s[0], "-dispatch", s[1], "-root", root)
			for _, want := range []string{s[0], "dispatch=" + s[1], "loops=", "procs="} {
				if s[0] != "auto" && !strings.Contains(p.start, want) {
					t.Errorf("start line %q does not say %q", p.start, want)
				}
			}
			checkAnswers(t, p, "/file.txt", string(file))
			checkAnswers(t, p, "/plaintext", "Hello, World!")
			checkAnswers(t, p, "/bytes?n=3000000", strings.Repeat(string(block), 46)[:3000000])

			long := strings.Repeat("0123456789", 20000)
			res, err := client.Post(p.url+"/echo", "text/x-test", strings.NewReader(long))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err != nil || string(body) != long || res.Header.Get("Content-Type") != "text/x-test" {
				t.Errorf("/echo: %v, %d octets of %s", err, len(body), res.Header.Get("Content-Type"))
			}
			checkCurl(t, p)
		})
	}
}

var client = &http.Client{Timeout: patience}

func checkAnswers(t *testing.T, p *process, path, want string) {
	t.Helper()
	res, err := client.Get(p.url + path)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != 200 || string(body) != want {
		t.Errorf("%s: %v, status %d, %d octets; want 200 and %d octets", path, err, res.StatusCode, len(body), len(want))
	}
}

// checkCurl asks the server by curl, where there is one.
func checkCurl(t *testing.T, p *process) {
	t.Helper()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Log("no curl here: not asked by it")
		return
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"/plaintext"}, "Hello, World!|200"},
		{[]string{"--http1.0", "/json"}, `{"message":"Hello, World!"}|200`},
		{[]string{"--data-binary", "a body", "/echo"}, "a body|200"},
		{[]string{"-H", "Transfer-Encoding: chunked", "--data-binary", "in chunks", "/echo"}, "in chunks|200"},
		{[]string{"-H", "Expect: 100-continue", "--data-binary", "expected", "/echo"}, "expected|200"},
		{[]string{"/echo"}, "method not allowed: want POST\n|405"},
		{[]string{"/status?code=204"}, "|204"},
		{[]string{"/bytes?n=x"}, "bad n: want a whole number from 0 to 67108864\n|400"},
		{[]string{"--path-as-is", "/../../etc/passwd"}, "not found\n|404"},
	} {
		args := append([]string{"-sS", "-m", "20", "-w", "|%{http_code}"}, c.args[:len(c.args)-1]...)
		out, err := exec.Command(curl, append(args, p.url+c.args[len(c.args)-1])...).CombinedOutput()
		if err != nil || string(out) != c.want {
			t.Errorf("curl %v: %v, %q; want %q", c.args, err, out, c.want)
		}
	}
}

// slowRequest puts GET /slow in flight and returns its connection.
//
// Once a request that was sent later is answered, the only loop has taken the
// earlier one: no need to guess how long that takes.
func slowRequest(t *testing.T, p *process, ms int) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	// the first exchange makes sure that the connection was accepted
	answers := bufio.NewReader(c)
	for _, path := range []string{"/", fmt.Sprintf("/slow?ms=%d", ms)} {
		if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
		if path != "/" {
			break
		}
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
	}
	checkAnswers(t, p, "/plaintext", "Hello, World!")
	return c
}

// stopSetups are the drivers to test signals with, on one loop.
func stopSetups(t *testing.T) []string {
	switch runtime.GOOS {
	case "windows":
		t.Skip("no SIGTERM on Windows")
	case "linux":
		return []string{"io_uring", "epoll"}
	}
	return []string{"auto"}
}

func TestSignalDrains(t *testing.T) {
	for _, driver := range stopSetups(t) {
		for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
			t.Run(driver+"/"+sig.String(), func(t *testing.T) {
				p := startServer(t, "-driver", driver, "-dispatch", "pooled", "-loops", "1")
				c := slowRequest(t, p, 500)
				p.signal(sig)
				res, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatalf("the request in flight was lost: %v", err)
				}
				body, err := io.ReadAll(res.Body)
				if err != nil || res.StatusCode != 200 || string(body) != "waited 500 ms\n" {
					t.Errorf("the request in flight: %v, %d %q", err, res.StatusCode, body)
				}
				_ = c.Close() // else the server lingers, for a client that has not read all
				if code := p.wait(); code != 0 || p.stderr.Len() != 0 {
					t.Errorf("exit %d, stderr %q; want 0 and nothing", code, &p.stderr)
				}
			})
		}
	}
}

func TestSecondSignalCuts(t *testing.T) {
	for _, driver := range stopSetups(t) {
		t.Run(driver, func(t *testing.T) {
			p := startServer(t, "-driver", driver, "-dispatch", "pooled", "-loops", "1")
			c := slowRequest(t, p, maxSlow)
			p.signal(syscall.SIGTERM)
			if line, _ := p.line(); !strings.Contains(line, "draining") {
				t.Fatalf("after the first signal: %q", line)
			}
			p.signal(syscall.SIGTERM)
			if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), "cut short") {
				t.Errorf("exit %d, stderr %q; want 1 and a line that says so", code, &p.stderr)
			}
			if got, err := io.ReadAll(c); len(got) != 0 {
				t.Errorf("the request that was cut got %q, %v", got, err)
			}
		})
	}
}

// whyEpoll is what a server that would rather have io_uring says all the same.
var whyEpoll = regexp.MustCompile(`(?m)^.* serving by epoll: io_uring is not available: .*\n`)

func TestQuiet(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no SIGTERM on Windows")
	}
	name, err := program()
	if err != nil {
		t.Fatal(err)
	}
	// a port below the ephemeral range that is free, since -quiet tells none
	for port := 20100; port < 20200; port++ {
		var out bytes.Buffer
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		cmd := exec.Command(name, "-quiet", "-addr", addr)
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		if answers(addr, ended) {
			_ = cmd.Process.Signal(syscall.SIGTERM) // an error: it has ended already
		}
		<-ended
		if strings.Contains(out.String(), "in use") {
			continue // somebody else's port
		}
		if printed := whyEpoll.ReplaceAll(out.Bytes(), nil); len(printed) != 0 || cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("exit %d, printed %q; want 0 and nothing", cmd.ProcessState.ExitCode(), printed)
		}
		return
	}
	t.Fatal("no free port")
}

// answers reports whether addr accepts a connection before the server ends.
func answers(addr string, ended <-chan struct{}) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			select {
			case <-ended:
				return false
			default:
				return true
			}
		}
		select {
		case <-ended:
			return false
		case <-tick.C:
		}
	}
}
