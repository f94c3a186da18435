package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ringcore/ringcore/bench/compare/pin"
)

// Running is a server that runs.
type Running struct {
	Target
	Addr string // HOST:PORT
	PID  int

	cmd   *exec.Cmd
	log   string
	ended chan struct{} // closed once the process has been waited for
}

// patience bounds the wait for a server to come up.
const patience = 15 * time.Second

// firstPort is below the ephemeral range, so that no client's port collides.
const firstPort = 18200

// Start starts the server on a free port and waits until it accepts, or ctx ends.
func Start(ctx context.Context, t Target, e Env) (*Running, error) {
	if why := t.Missing(); why != "" {
		return nil, errors.New(why)
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	cmd, err := t.command(e, port)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	s := &Running{Target: t, Addr: addr(port), cmd: cmd, log: filepath.Join(e.Dir, t.Name+".log"), ended: make(chan struct{})}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Dir, cmd.Stdout, cmd.Stderr = e.Dir, log, log
	cmd.Env = environment()
	if err := pin.Start(cmd, e.CPUs); err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	s.PID = cmd.Process.Pid
	go func() { _ = cmd.Wait(); close(s.ended) }()
	if err := s.awaitListening(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// environment is ours without what would overrule the affinity.
func environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GOMAXPROCS=") {
			env = append(env, v)
		}
	}
	return env
}

func (s *Running) awaitListening(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if c, err := net.Dial("tcp", s.Addr); err == nil {
			return c.Close()
		}
		select {
		case <-s.ended:
			return fmt.Errorf("%s does not run here: %s", s.Name, s.lastWords())
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return fmt.Errorf("%s does not listen after %v: %s", s.Name, patience, s.lastWords())
}

// Ended reports whether the server has ended by itself, and its last words.
func (s *Running) Ended() (string, bool) {
	select {
	case <-s.ended:
		return s.lastWords(), true
	default:
		return "", false
	}
}

func (s *Running) lastWords() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(bytes.TrimSpace(text)), "\n")
	return lines[len(lines)-1]
}

// StartLine is the first line that the server printed, "" if none.
func (s *Running) StartLine() string {
	text, _ := os.ReadFile(s.log)
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// Stop ends the server and all its processes, and waits for them.
func (s *Running) Stop() {
	pin.End(s.cmd, false)
	select {
	case <-s.ended:
	case <-time.After(2 * time.Second): // drains for longer than anybody needs
	}
	pin.End(s.cmd, true)
	<-s.ended
	for wait := time.Now().Add(2 * time.Second); pin.Lives(s.cmd) && time.Now().Before(wait); { // those that were killed end soon
		time.Sleep(time.Millisecond)
	}
}

// nextPort is tried next. Another process that starts servers, as tests of several
// packages do, begins elsewhere: the port of either would be free until both use it.
var nextPort = firstPort + os.Getpid()*101%(32_000-firstPort)

func freePort(ctx context.Context) (int, error) {
	for range 10_000 {
		port := nextPort
		nextPort++
		if nextPort >= 32_000 {
			nextPort = firstPort
		}
		if ln, err := listen(ctx, addr(port)); err == nil {
			return port, ln.Close()
		}
	}
	return 0, errors.New("no free port on 127.0.0.1")
}
