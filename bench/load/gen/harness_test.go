//go:build linux

package gen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringcore/ringcore/ring"
)

// patience bounds every wait of these tests; none depends on its length.
const patience = 30 * time.Second

// each runs f as a subtest on each driver.
func each(t *testing.T, f func(t *testing.T, driver string)) {
	t.Helper()
	for _, driver := range []string{"io_uring", "epoll"} {
		t.Run(driver, func(t *testing.T) {
			if driver == "io_uring" {
				if _, err := ring.Probe(ring.TierBest); err != nil {
					t.Skipf("io_uring cannot be had here: %v", err)
				}
			}
			f(t, driver)
		})
	}
}

// load runs cfg and checks what holds of every report.
func load(t *testing.T, cfg Config) *Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("not done after %v: %+v", patience, r)
	}
	checkReport(t, r)
	return r
}

func checkReport(t *testing.T, r *Report) {
	t.Helper()
	parts := int64(0)
	for _, p := range r.Mix {
		parts += p.Requests
	}
	l := &r.LatencyUs
	if parts != r.Requests || (r.Mode == "closed" && l.Count != r.Requests) {
		t.Errorf("%d requests, %d in the mix, %d latencies", r.Requests, parts, l.Count)
	}
	if l.Count > 0 && !(l.Min <= l.P50 && l.P50 <= l.P90 && l.P90 <= l.P99 && l.P99 <= l.P999 && l.P999 <= l.Max && l.Min <= l.Mean && l.Mean <= l.Max) {
		t.Errorf("latencies out of order: %+v", l)
	}
}

func sum(m map[string]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

// testServer is a server whose answers are up to the test.
type testServer struct {
	url      string
	ln       net.Listener
	requests atomic.Int64
	accepted atomic.Int64
	mu       sync.Mutex
	open     map[net.Conn]bool
	peers    map[string]bool // their addresses without the ports
	all      sync.WaitGroup
}

// request is one that the server has read.
type request struct {
	*http.Request
	body string
	n    int64 // on its connection, from 1
	nc   *net.TCPConn
	w    *bufio.Writer
}

var errHangUp = errors.New("hang up")

// ok answers 200.
func (q *request) ok(body string) error {
	_, err := fmt.Fprintf(q.w, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	return err
}

// newServer answers by f, whose error ends the connection.
func newServer(t testing.TB, f func(q *request) error) *testServer {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, ln, f)
}

func serveOn(t testing.TB, ln net.Listener, f func(q *request) error) *testServer {
	t.Helper()
	s := &testServer{url: "http://" + ln.Addr().String(), ln: ln, open: map[net.Conn]bool{}, peers: map[string]bool{}}
	s.all.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			s.mu.Lock()
			s.open[nc] = true
			host, _, _ := net.SplitHostPort(nc.RemoteAddr().String())
			s.peers[host] = true
			s.mu.Unlock()
			s.all.Go(func() { s.serve(nc.(*net.TCPConn), f) })
		}
	})
	t.Cleanup(s.stop)
	return s
}

func (s *testServer) serve(nc *net.TCPConn, f func(q *request) error) {
	defer func() {
		nc.Close()
		s.mu.Lock()
		delete(s.open, nc)
		s.mu.Unlock()
	}()
	r, w := bufio.NewReader(nc), bufio.NewWriter(nc)
	for n := int64(1); ; n++ {
		got, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		body, err := io.ReadAll(got.Body)
		if err != nil {
			return
		}
		s.requests.Add(1)
		err = f(&request{got, string(body), n, nc, w})
		if err == nil && r.Buffered() == 0 {
			err = w.Flush()
		}
		if err != nil {
			w.Flush()
			return
		}
	}
}

// stop ends the server and all its connections.
func (s *testServer) stop() {
	s.ln.Close()
	s.mu.Lock()
	for nc := range s.open {
		nc.Close()
	}
	s.mu.Unlock()
	s.all.Wait()
}

func hello(q *request) error { return q.ok("Hello, World!") }

func repeat(text string, n int) string { return strings.Repeat(text, n) }
