//go:build linux

package gen

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A server that dies in the middle: what was measured is reported, with the
// errors, and the run ends early.
func TestServerDies(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for _, rate := range []float64{0, 2000} {
			var once sync.Once
			dead := make(chan struct{})
			s := newServer(t, func(q *request) error {
				if q.n == 100 {
					once.Do(func() { close(dead) })
				}
				return hello(q)
			})
			go func() {
				<-dead
				s.ln.Close()
				s.mu.Lock()
				defer s.mu.Unlock()
				for nc := range s.open {
					nc.(*net.TCPConn).SetLinger(0)
					nc.Close()
				}
			}()
			r := load(t, Config{Target: s.url, Driver: driver, Connections: 8, Rate: rate, Duration: time.Hour, giveUp: 300 * time.Millisecond})
			if r.Requests < 100 || r.Errors["refused"] < 8 || !strings.Contains(r.Aborted, "refused") {
				t.Errorf("%+v", r)
			}
		}
	})
}

// A server that comes back is used again.
func TestServerComesBack(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		ln, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := ln.Addr().String()
		ln.Close()
		var s *testServer
		var once sync.Once
		r := load(t, Config{Target: "http://" + addr, Driver: driver, Connections: 3, Count: 30, OnTick: func(Progress) {
			once.Do(func() { // by then the first attempts have failed
				if ln, err = net.Listen("tcp4", addr); err == nil {
					s = serveOn(t, ln, hello)
				}
			})
		}})
		if err != nil {
			t.Skipf("somebody else took the port: %v", err)
		}
		if r.Requests != 30 || r.Aborted != "" || r.WarmupErrors["refused"] == 0 || s.requests.Load() != 30 {
			t.Errorf("%+v", r)
		}
	})
}

func TestRefused(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		ln, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		url := "http://" + ln.Addr().String()
		ln.Close()
		for _, c := range []Config{{Count: 100}, {Close: true}, {Rate: 100}, {Rate: 100, Close: true}} {
			c.Target, c.Driver, c.Connections, c.giveUp = url, driver, 5, 200*time.Millisecond
			r := load(t, c)
			if r.Requests != 0 || r.Errors["refused"]+r.WarmupErrors["refused"] < 5 || !strings.Contains(r.Aborted, "refused") {
				t.Errorf("%+v: %+v", c, r)
			}
		}
	})
}

// Faults of single connections are counted by kind, and the run goes on.
func TestFaults(t *testing.T) {
	const half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
	each(t, func(t *testing.T, driver string) {
		for _, c := range []struct {
			kind string
			f    func(q *request) error
		}{
			{"reset", func(q *request) error { q.nc.SetLinger(0); return errHangUp }},
			{"closed", func(q *request) error { _, _ = q.w.WriteString(half); return errHangUp }},
			{"closed", func(q *request) error { return errHangUp }},
			{"protocol", func(q *request) error { _, err := q.w.WriteString("SSH-2.0-OpenSSH\r\n"); return err }},
			{"protocol", func(q *request) error {
				_, err := q.w.WriteString("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")
				return err
			}},
			{"timeout", func(q *request) error { _, err := q.w.WriteString(half); return err }},
			{"timeout", func(q *request) error { return nil }},
		} {
			s := newServer(t, func(q *request) error {
				if q.n == 10 {
					return c.f(q)
				}
				return hello(q)
			})
			r := load(t, Config{Target: s.url, Driver: driver, Connections: 4, Count: 100, Timeout: 50 * time.Millisecond})
			if n := r.Errors[c.kind]; n < 6 || n > 10 || sum(r.Errors) != n || r.Requests+n != 100 || r.Reconnects != 0 {
				t.Errorf("%s: %+v", c.kind, r)
			}
		}
		// what nobody asked for
		s := newServer(t, func(q *request) error { _ = hello(q); return hello(q) })
		r := load(t, Config{Target: s.url, Driver: driver, Connections: 1, Count: 20})
		if r.Errors["protocol"] == 0 || r.Requests == 0 {
			t.Errorf("twice as many responses: %+v", r)
		}
	})
}

// A slow server is waited for, octet by octet.
func TestSlowServer(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		s := newServer(t, func(q *request) error {
			for _, c := range []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n") {
				_ = q.w.WriteByte(c)
				if err := q.w.Flush(); err != nil {
					return err
				}
			}
			return nil
		})
		three := int64(3)
		r := load(t, Config{Target: s.url, Driver: driver, Connections: 8, Count: 80, Requests: []Request{{Length: &three}}})
		if r.Requests != 80 || len(r.Errors) > 0 {
			t.Errorf("%+v", r)
		}
	})
}

// A server that accepts connections and closes them at once does not keep a
// run from its end.
func TestFleetingConnections(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		ln, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		go func() {
			for {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				nc.Close()
			}
		}()
		for _, c := range []Config{{}, {Rate: 100}, {Close: true}} {
			c.Target, c.Driver, c.Connections = "http://"+ln.Addr().String(), driver, 3
			c.Duration, c.Timeout, c.giveUp = 100*time.Millisecond, 300*time.Millisecond, 100*time.Millisecond
			if r := load(t, c); r.Requests != 0 || (r.Aborted == "" && sum(r.Errors) == 0 && r.Reconnects == 0) {
				t.Errorf("%+v", r)
			}
		}
	})
}

func TestStuck(t *testing.T) {
	w := &worker{cfg: &Config{Timeout: 100}}
	for _, c := range []struct {
		up    int
		now   int64
		stuck bool
	}{{0, 1000, false}, {0, 1100, false}, {2, 1101, false}, {1, 1150, false}, {3, 1201, false}, {3, 1301, false}, {3, 1302, true}, {1, 1303, true}} {
		if w.dial.up = c.up; w.stuck(c.now) != c.stuck || w.dial.failing != 0 {
			t.Errorf("%+v: %+v", c, w.dial)
		}
	}
	if w.dial.up = 0; !w.stuck(1400) || w.dial.failing != 1201 || w.dial.reason == nil {
		t.Errorf("without any connection: %+v", w.dial)
	}
}
