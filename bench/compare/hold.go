package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringcore/ringcore/bench/compare/pin"
)

// holdCommand is the first argument of this program where it is started anew
// to hold connections: a process of its own, since the limit of open files is
// per process.
const holdCommand = "hold-connections"

// holdPatience bounds each connection's steps.
const holdPatience = 10 * time.Second

// hold opens n connections, or as many as are answered, has each make a
// request, prints how many of them are open then, and keeps them until its
// standard input ends.
func hold(args []string) int {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return 2
	}
	conns := make([]net.Conn, 0, n)
	for range n {
		c, err := net.DialTimeout("tcp", args[0], holdPatience)
		if err == nil {
			if err = holdAsk(c); err == nil {
				conns = append(conns, c)
			}
		}
		if err != nil {
			break
		}
	}
	fmt.Println(countOpen(conns))
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// countOpen returns how many connections the server has not closed.
func countOpen(conns []net.Conn) int64 {
	var open atomic.Int64
	var all sync.WaitGroup
	soon := time.Now().Add(200 * time.Millisecond)
	for _, c := range conns {
		all.Go(func() {
			err := c.SetReadDeadline(soon)
			if err == nil {
				_, err = c.Read(make([]byte, 1))
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				open.Add(1)
			}
		})
	}
	all.Wait()
	return open.Load()
}

func holdAsk(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(holdPatience)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "GET /plaintext HTTP/1.1\r\nHost: hold\r\n\r\n"); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReaderSize(c, 512), nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// holder is a process that holds connections.
type holder struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	held int
}

// startHolder returns once the connections are there.
func startHolder(ctx context.Context, addr string, n int, cpus []int) (*holder, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	h := &holder{cmd: exec.CommandContext(ctx, self, holdCommand, addr, strconv.Itoa(n))}
	h.cmd.Stderr = os.Stderr
	h.in, err = h.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := pin.Start(h.cmd, cpus); err != nil {
		return nil, err
	}
	if _, err := fmt.Fscan(out, &h.held); err != nil {
		h.stop()
		return nil, fmt.Errorf("the process that holds connections: %w", err)
	}
	return h, nil
}

// stop closes the connections.
func (h *holder) stop() {
	_ = h.in.Close()
	_ = h.cmd.Wait()
}
