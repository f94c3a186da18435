//go:build linux

package conn

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSendFileDirectCancelled: connections that end while a file is on its way,
// their peers reading or not, give everything back; others are served meanwhile.
func TestSendFileDirectCancelled(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		name, _ := makeFile(t, 16<<20)
		before := countFiles(t)
		h := newFileHandler(name)
		e := serve(t, kind, h, Options{Linger: time.Millisecond})
		buf := make([]byte, 100)
		for round := range 3 {
			const clients = 12
			var all []*net.TCPConn
			for range clients {
				nc := e.dial()
				nc.Write([]byte("x"))
				all = append(all, nc)
			}
			for _, nc := range all { // it is on its way
				if _, err := io.ReadFull(nc, buf); err != nil {
					t.Fatal(err)
				}
			}
			other := e.dial()
			other.Write([]byte("."))
			if _, err := io.ReadFull(other, buf[:1]); err != nil {
				t.Fatal(err)
			}
			other.Close()
			wait(t, "the other's end", h.closed)
			switch round {
			case 0: // the peers go
				for i, nc := range all {
					if i%2 == 0 {
						reset(nc)
					} else {
						nc.Close()
					}
				}
			case 1:
				e.do(func(l *Loop) { l.Each(func(c *Conn) { c.Abort(io.ErrUnexpectedEOF) }) })
			case 2: // what is in the kernel is still sent, the rest given up
				e.do(func(l *Loop) { l.Each((*Conn).Close) })
				for _, nc := range all {
					if n, err := io.Copy(io.Discard, nc); err != nil || n == 0 || n >= 16<<20-100 {
						t.Errorf("%d bytes after the close, %v", n, err)
					}
					nc.Close()
				}
			}
			for range clients {
				wait(t, "the connections' ends", h.closed)
			}
		}
		eventually(t, "every file's close", func() bool { return countFiles(t) == before })
		select {
		case err := <-h.ended:
			t.Errorf("a transfer that was given up ended, %v", err)
		default:
		}
	})
}

// TestSendFileShutdown: with files on their way, a shutdown that may wait waits
// for them, and one that may not cuts them off.
func TestSendFileShutdown(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		name, content := makeFile(t, 16<<20)
		for _, patient := range []bool{true, false} {
			h := newFileHandler(name)
			e := serveEach(t, kind, func(*Loop) Handler { return drainer{h} }, Options{})
			nc := e.dial()
			nc.Write([]byte("x"))
			first := make([]byte, 1000)
			if _, err := io.ReadFull(nc, first); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- e.Shutdown(ctx) }()
			if !patient {
				cancel()
				if err := wait(t, "the shutdown", done); err != context.Canceled {
					t.Errorf("shutdown: %v", err)
				}
				continue
			}
			rest, err := io.ReadAll(nc)
			if err != nil || !bytes.Equal(append(first, rest...), content) {
				t.Errorf("%d bytes received which are not the file's: %v", len(rest), err)
			}
			nc.Close()
			if err := wait(t, "the shutdown", done); err != nil {
				t.Errorf("shutdown: %v", err)
			}
			cancel()
		}
	})
}

// drainer leaves connections alone when the engine shuts down.
type drainer struct{ *fileHandler }

func (drainer) Drain() {}

// TestSendFileStall: a peer that does not read is given up after the timeout that
// goes with each piece; one that is slow is not.
func TestSendFileStall(t *testing.T) {
	runBoth(t, func(t *testing.T, kind DriverKind, o Options) {
		name, content := makeFile(t, 32<<20)
		h := newFileHandler(name)
		h.stall = 500 * time.Millisecond
		e := serve(t, kind, h, o)
		slow, stuck := e.dial(), e.dial()
		stuck.Write([]byte("x"))
		slow.Write([]byte("x"))
		got := make([]byte, len(content))
		begun := time.Now()
		for n := 0; n < len(got); {
			k, err := io.ReadFull(slow, got[n:min(n+256<<10, len(got))])
			if n += k; err != nil {
				t.Fatalf("slow: after %d bytes: %v", n, err)
			}
			time.Sleep(h.stall / 100)
		}
		if d := time.Since(begun); d < h.stall {
			t.Errorf("it took %v, not longer than one stall", d)
		}
		if !bytes.Equal(got, content) {
			t.Error("slow: what was received is not the file's")
		}
		slow.Close()
		if err := wait(t, "the end of the one", h.ended); err != nil {
			t.Errorf("slow: %v", err)
		}
		for range 2 { // in either order
			if err := wait(t, "the ends", h.closed); err != nil && err != os.ErrDeadlineExceeded {
				t.Errorf("closed: %v", err)
			}
		}
		if n, err := io.Copy(io.Discard, stuck); n >= int64(len(content)) {
			t.Errorf("stuck: %d bytes, %v", n, err)
		}
	})
}

// TestSendFileUnix: over a unix socket.
func TestSendFileUnix(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		name, content := makeFile(t, 8<<20)
		h := newFileHandler(name)
		h.head = "head"
		e := serve(t, kind, h, Options{})
		ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
		if err != nil {
			t.Fatal(err)
		}
		path := ln.Addr().String()
		if err := e.Listen(ln); err != nil {
			t.Fatal(err)
		}
		nc, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(patience))
		nc.Write([]byte("x"))
		if got, err := io.ReadAll(nc); err != nil || !bytes.Equal(got, append([]byte("head"), content...)) {
			t.Errorf("%d bytes received which are not the file's: %v", len(got), err)
		}
	})
}

// TestSendFileDirect: a large file takes no buffers.
func TestSendFileDirect(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		name, content := makeFile(t, 1<<20)
		h := newFileHandler(name)
		e := serve(t, kind, h, Options{})
		nc := e.dial()
		nc.Write([]byte("x"))
		if got, err := io.ReadAll(nc); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes received which are not the file's: %v", len(got), err)
		}
		e.do(func(l *Loop) {
			if n := l.large.slabs; n > 0 {
				t.Errorf("%d MiB of buffers for a file that goes directly", n)
			}
		})
	})
}
