package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait of these tests; none of them sleeps.
const patience = 20 * time.Second

var buildDir string

func TestMain(m *testing.M) {
	code := m.Run()
	stopPostgres()
	if buildDir != "" {
		_ = os.RemoveAll(buildDir)
	}
	os.Exit(code)
}

// serverVariable names a server that is built already, where there is no go
// command.
const serverVariable = "RINGCORE_TEST_SERVER"

// autoVariable says what Auto has to choose here, as in httpcore's tests: where
// that is io_uring, not to have it is a failure.
const autoVariable = "RINGCORE_TEST_AUTO"

// program builds the server once, as `go build` does, unless there is one.
var program = sync.OnceValues(func() (string, error) {
	if name := os.Getenv(serverVariable); name != "" {
		return name, nil
	}
	dir, err := os.MkdirTemp("", "ringcore-server")
	if err != nil {
		return "", err
	}
	buildDir = dir
	name := filepath.Join(dir, "server.exe")
	out, err := exec.Command("go", "build", "-o", name, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return name, nil
})

// process is a running server.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	start  string      // the start line
	lines  chan string // what follows it on standard output
	stderr bytes.Buffer
	exited chan error
}

// setups are the drivers and dispatches that every test of the program runs with.
func setups() (list [][2]string) {
	drivers := []string{"io_uring", "epoll"}
	if runtime.GOOS != "linux" {
		drivers = []string{"auto"}
	}
	for _, driver := range drivers {
		for _, dispatch := range []string{"inline", "pooled", "adaptive"} {
			list = append(list, [2]string{driver, dispatch})
		}
	}
	return list
}

// startServer runs the program on a free port until the test ends.
func startServer(t *testing.T, args ...string) *process {
	t.Helper()
	name, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return startCommand(t, append([]string{name, "-addr", "127.0.0.1:0"}, args...)...)
}

// startCommand runs words, which start the program, whose end is theirs.
func startCommand(t *testing.T, words ...string) *process {
	t.Helper()
	p := &process{t: t, lines: make(chan string, 16), exited: make(chan error, 1)}
	p.cmd = exec.Command(words[0], words[1:]...)
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for in := bufio.NewScanner(out); in.Scan(); {
			p.lines <- in.Text()
		}
		close(p.lines)
		p.exited <- p.cmd.Wait() // only now: Wait closes the pipe
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // harmless if it has ended
		for range p.lines {      // until its end, so that Wait was called
		}
	})
	line, ok := p.line()
	if !ok {
		err := <-p.exited
		if os.Getenv(autoVariable) != "io_uring" && strings.Contains(strings.Join(words, " "), "-driver io_uring") &&
			strings.Contains(p.stderr.String(), "io_uring is not available") {
			t.Skipf("no io_uring here: %s", p.stderr.String())
		}
		t.Fatalf("no start line: %v, %s", err, p.stderr.String())
	}
	p.start = line
	if p.url = regexp.MustCompile(`http://127\.0\.0\.1:[1-9]\d*`).FindString(line); p.url == "" {
		t.Fatalf("no address in the start line %q", line)
	}
	return p
}

// line returns the next line of standard output, false at its end.
func (p *process) line() (string, bool) {
	p.t.Helper()
	select {
	case line, ok := <-p.lines:
		return line, ok
	case <-time.After(patience):
		p.t.Fatal("the server printed nothing for too long")
		return "", false
	}
}

// signal asks the server to end.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait returns the exit status.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatal("the server did not end")
		return -1
	}
}
