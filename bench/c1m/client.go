//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/ringcore/ringcore/conn"
)

const (
	connecting   = 64               // attempts under way at once
	stepPatience = 30 * time.Second // for a connection and its first answer
	longest      = int64(time.Minute)
)

// clientOrder is what a client process is told first. Then comes a line for each
// clientTraffic; the end of its standard input is its end.
type clientOrder struct {
	Addr   string // of the servers
	Source string // its own
	N      int    // connections
}

// clientTraffic: a request each Every on the first N connections, for For.
type clientTraffic struct {
	N          int
	Every, For time.Duration
}

// clientReport answers an order (N connections are there) and a clientTraffic.
type clientReport struct {
	N        int
	Requests int64
	Late     int64 // requests that were due while the one before had no answer yet
	Times    *hdrhistogram.Snapshot
	Error    string
}

// client is one process's connections: their conn.Handler. All but begin and
// traffic belongs to the loop's goroutine.
type client struct {
	order  clientOrder
	to     net.Addr
	from   *net.TCPAddr
	conns  []*peer
	begun  int
	ready  int
	length int // of a response, known from the first one
	every  time.Duration
	times  *hdrhistogram.Histogram
	report clientReport
	events chan error // nil: the connections are there
}

// peer is one connection.
type peer struct {
	c       *conn.Conn
	got     int   // octets of the response
	waits   bool  // for a response
	planned int64 // when the request was due, on the loop's clock
}

func connect(in io.Reader, out io.Writer) error {
	d, e := json.NewDecoder(in), json.NewEncoder(out)
	cl := &client{events: make(chan error, 1), times: hdrhistogram.New(1000, longest, 2)}
	err := d.Decode(&cl.order)
	if err == nil {
		err = cl.resolve()
	}
	if err != nil {
		return err
	}
	engine, err := conn.Start(conn.Options{
		Handler: func(*conn.Loop) conn.Handler { return cl },
	})
	if err != nil {
		return err
	}
	loop := engine.Loops()[0]
	loop.Post(&conn.Task{Run: cl.open})
	if err := <-cl.events; err != nil {
		return err
	}
	if err := e.Encode(clientReport{N: cl.ready}); err != nil {
		return err
	}
	for {
		var t clientTraffic
		if err := d.Decode(&t); errors.Is(err, io.EOF) {
			return nil // the process ends, and everything with it
		} else if err != nil {
			return err
		}
		if err := e.Encode(cl.traffic(loop, t)); err != nil {
			return err
		}
	}
}

func (cl *client) resolve() (err error) {
	if cl.to, err = net.ResolveTCPAddr("tcp", cl.order.Addr); err != nil {
		return err
	}
	cl.from, err = net.ResolveTCPAddr("tcp", net.JoinHostPort(cl.order.Source, "0"))
	return err
}

// open begins attempts, until all connections are there.
func (cl *client) open(l *conn.Loop) {
	for cl.begun < cl.order.N && cl.begun-cl.ready < connecting {
		p := &peer{}
		cl.begun++
		ref := l.ConnectFrom(cl.from, cl.to, cl, cl.failed)
		if c := ref.Conn(); c != nil {
			c.State = p
			c.SetTimeout(conn.WriteTimer, stepPatience)
		}
	}
}

func (cl *client) failed(err error) {
	select {
	case cl.events <- fmt.Errorf("connection %d of %d: %w", cl.ready+1, cl.order.N, err):
	default:
	}
}

var request = []byte("GET / HTTP/1.1\r\nHost: c1m\r\n\r\n")

func (cl *client) ask(p *peer) {
	p.got, p.waits = 0, true
	p.c.Write(request)
}

// Opened, Data, EOF, Drained, TimedOut and Closed implement conn.Handler.

func (cl *client) Opened(c *conn.Conn) {
	p := c.State.(*peer)
	p.c = c
	cl.conns = append(cl.conns, p)
	cl.ask(p)
	c.SetTimeout(conn.ReadTimer, stepPatience)
}

// Data counts: all responses have the same length, that of the first one, which
// is looked at.
func (cl *client) Data(c *conn.Conn, b []byte) int {
	p := c.State.(*peer)
	if cl.length == 0 {
		if !isWhole(b) {
			cl.failed(fmt.Errorf("the first response is %q", b))
			return len(b)
		}
		cl.length = len(b)
	}
	if p.got += len(b); p.got < cl.length {
		return len(b)
	}
	if p.got > cl.length || !p.waits {
		cl.failed(errors.New("a response is longer than the first one"))
		return len(b)
	}
	p.waits = false
	if p.planned > 0 {
		_ = cl.times.RecordValue(min(max(c.Loop().Now()-p.planned, 1000), longest))
		cl.report.Requests++
		return len(b)
	}
	c.SetTimeout(conn.ReadTimer, 0)
	if cl.ready++; cl.ready == cl.order.N {
		cl.events <- nil
	}
	cl.open(c.Loop())
	return len(b)
}

func isWhole(b []byte) bool {
	n, want := len(b), "HTTP/1.1 200 OK\r\n"
	return n > len(want)+len(hello) && string(b[:len(want)]) == want && string(b[n-len(hello):]) == string(hello)
}

// TimedOut: a first answer that does not come, or the next request is due.
func (cl *client) TimedOut(c *conn.Conn, _ conn.Timer) {
	p := c.State.(*peer)
	switch {
	case p.planned == 0:
		cl.failed(errors.New("no answer"))
		return
	case cl.every == 0: // the traffic is over
		return
	}
	cl.due(p, p.planned+int64(cl.every))
}

// due sends the request that was planned for the time given: an answer that comes
// late counts from then on, whatever held the request up.
func (cl *client) due(p *peer, planned int64) {
	now := p.c.Loop().Now()
	p.c.SetTimeout(conn.ReadTimer, max(cl.every-time.Duration(now-planned), 1))
	if p.waits {
		cl.report.Late++ // one at a time: the one before is late enough
		return
	}
	p.planned = planned
	cl.ask(p)
}

func (cl *client) EOF(c *conn.Conn)   { c.Close() }
func (cl *client) Drained(*conn.Conn) {}
func (cl *client) Drain()             {}
func (cl *client) Closed(_ *conn.Conn, err error) {
	cl.failed(fmt.Errorf("a connection was closed: %w", orEOF(err)))
}

func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// traffic makes t, the connections' requests evenly spread over Every.
func (cl *client) traffic(l *conn.Loop, t clientTraffic) clientReport {
	pace := time.NewTicker(t.Every / time.Duration(t.N))
	defer pace.Stop()
	begin := make(chan struct{})
	l.Post(&conn.Task{Run: func(*conn.Loop) {
		cl.every, cl.report = t.Every, clientReport{N: t.N}
		cl.times.Reset()
		close(begin)
	}})
	<-begin
	end := time.NewTimer(t.For)
	for i := range t.N {
		l.Post(&conn.Task{Run: func(l *conn.Loop) { cl.due(cl.conns[i], l.Now()) }})
		<-pace.C
	}
	<-end.C
	ctx, cancel := context.WithTimeout(context.Background(), stepPatience)
	defer cancel()
	done := make(chan clientReport, 1)
	l.Post(&conn.Task{Run: func(*conn.Loop) {
		cl.every = 0
		cl.report.Times = cl.times.Export()
		done <- cl.report
	}})
	select {
	case err := <-cl.events:
		return clientReport{Error: err.Error()}
	case r := <-done:
		return r
	case <-ctx.Done():
		return clientReport{Error: "the client's loop does not answer"}
	}
}
