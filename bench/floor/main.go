//go:build linux

// Command floor answers every request with the same octets, without looking at
// it: no parser, no handler, no response built. What it costs is what the kernel
// and the loop cost, and so the least that an HTTP server on this loop can cost
// on this machine at this hour. It is a measure and no server: it serves whoever
// sends something that ends with an empty line, and knows no limits.
//
//	/10k            10240 octets, if the first request of a connection is for it
//	anything else   Hello, World!
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/ringcore/ringcore/conn"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen, `HOST:PORT`")
	driver := flag.String("driver", "auto", "auto, io_uring or epoll")
	flag.Parse()
	if err := serve(*addr, *driver); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func serve(addr, driver string) error {
	kind, ok := map[string]conn.DriverKind{"auto": conn.Auto, "io_uring": conn.IOUring, "epoll": conn.Epoll}[driver]
	if !ok || flag.NArg() > 0 {
		return fmt.Errorf("want -driver auto, io_uring or epoll, and no arguments")
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	engine, err := start(kind, ln)
	if err != nil {
		return err
	}
	fmt.Printf("floor: address=http://%s\n", ln.Addr())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	<-ctx.Done()
	stop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return engine.Shutdown(ctx)
}

// start serves ln.
func start(kind conn.DriverKind, ln net.Listener) (*conn.Engine, error) {
	engine, err := conn.Start(conn.Options{
		Driver:  kind,
		Loops:   max(1, runtime.GOMAXPROCS(0)/2), // as httpcore has it
		Handler: func(*conn.Loop) conn.Handler { return constant{} },
	})
	if err != nil {
		return nil, err
	}
	return engine, engine.Listen(ln)
}

// batch is how many answers are written at once, at most: many pipelined
// requests are no more than this, and their answers go with one copy.
const batch = 64

var (
	hello = answers("text/plain", []byte("Hello, World!"))
	tenK  = answers("application/octet-stream", bytes.Repeat([]byte("0123456789abcdef"), 640))

	endOfHead = []byte("\r\n\r\n")
	forTenK   = []byte("GET /10k ")
)

// An answerBatch is the same response many times, each as long as fasthttp's.
type answerBatch struct {
	all []byte
	one int // octets of one
}

func answers(contentType string, body []byte) *answerBatch {
	one := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: fasthttp\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"), contentType, len(body), body)
	return &answerBatch{bytes.Repeat(one, batch), len(one)}
}

// state is what a connection is in the middle of.
type state struct {
	batch *answerBatch
	owed  int // octets of answers not yet written
}

type constant struct{}

func (constant) Opened(c *conn.Conn) { c.State = new(state) }

func (constant) Data(c *conn.Conn, p []byte) int {
	s := c.State.(*state)
	if s.batch == nil {
		if s.batch = hello; bytes.HasPrefix(p, forTenK) {
			s.batch = tenK
		}
	}
	last := bytes.LastIndex(p, endOfHead)
	if last < 0 || s.owed > 0 {
		return 0
	}
	s.owed = bytes.Count(p, endOfHead) * s.batch.one
	s.write(c)
	return last + len(endOfHead)
}

// write writes what is owed, as far as there is room.
func (s *state) write(c *conn.Conn) {
	for s.owed > 0 {
		// What is left of the answer that was begun, then whole ones.
		from := (s.batch.one - s.owed%s.batch.one) % s.batch.one
		p := s.batch.all[from:min(len(s.batch.all), from+s.owed)]
		n := c.Write(p)
		if s.owed -= n; n < len(p) {
			return // Drained comes
		}
	}
}

func (constant) Drained(c *conn.Conn) {
	s := c.State.(*state)
	if s.write(c); s.owed == 0 {
		c.Redeliver()
		closeIfDone(c)
	}
}

func (constant) EOF(c *conn.Conn) { closeIfDone(c) }

func closeIfDone(c *conn.Conn) {
	if s := c.State.(*state); c.EOFSeen() && s.owed == 0 {
		c.Close()
	}
}

func (constant) TimedOut(c *conn.Conn, _ conn.Timer) { c.Close() }
func (constant) Closed(*conn.Conn, error)            {}
