//go:build linux

package gen

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// As many requests are sent and answered as were asked for, on as many
// connections, in the mix that was asked for.
func TestCount(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for _, c := range []struct{ conns, deep, loops int }{{1, 1, 1}, {7, 1, 2}, {10, 16, 1}, {5, 3, 3}} {
			t.Run(fmt.Sprint(c), func(t *testing.T) {
				var heads atomic.Int64
				s := newServer(t, func(q *request) error {
					switch {
					case q.Method == "HEAD":
						heads.Add(1)
						_, err := q.w.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
						return err
					case q.URL.Path == "/echo":
						return q.ok(q.body)
					}
					return hello(q)
				})
				three := int64(3)
				r := load(t, Config{Target: s.url, Driver: driver, Connections: c.conns, Pipelining: c.deep, Loops: c.loops, Count: 1000,
					Requests: []Request{{Weight: 3}, {Method: "HEAD", Path: "/x"}, {Method: "POST", Path: "/echo", Body: []byte("abc"), Length: &three,
						SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte("abc")))}}})
				if r.Requests != 1000 || s.requests.Load() != 1000 || len(r.Errors) > 0 || r.Statuses["200"] != 1000 || r.Unanswered != 0 {
					t.Errorf("the server had %d requests; %+v", s.requests.Load(), r)
				}
				if n := s.accepted.Load(); n != int64(c.conns) || r.Connects != n || r.Reconnects != 0 {
					t.Errorf("%d connections accepted; %+v", n, r)
				}
				for i, want := range []int64{600, 200, 200} {
					if got := r.Mix[i].Requests; got < want-8 || got > want+8 {
						t.Errorf("%s: %d requests, want about %d", r.Mix[i].Name, got, want)
					}
				}
				if heads.Load() != r.Mix[1].Requests {
					t.Errorf("%d HEADs served, %d counted", heads.Load(), r.Mix[1].Requests)
				}
				if r.Driver != driver || r.Loops != c.loops || r.Pipelining != c.deep || r.Mode != "closed" || !r.KeepAlive {
					t.Errorf("%+v", r)
				}
				if want := 1000 * int64(len("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")); r.Bytes < want || r.BytesSent < 1000*40 {
					t.Errorf("%d octets received, want at least %d; %d sent", r.Bytes, want, r.BytesSent)
				}
			})
		}
	})
}

// What the warm-up does is not counted; a run takes as long as was asked for.
func TestDuration(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		s := newServer(t, hello)
		r := load(t, Config{Target: s.url, Driver: driver, Connections: 4, Warmup: 100 * time.Millisecond, Duration: 200 * time.Millisecond, Curve: true})
		if r.Requests == 0 || r.Requests >= s.requests.Load() || len(r.Errors) > 0 {
			t.Errorf("the server had %d requests; %+v", s.requests.Load(), r)
		}
		if r.WarmupS < 0.1 || r.DurationS < 0.2 || r.ResponsesPerS != float64(r.Requests)/r.DurationS {
			t.Errorf("%+v", r)
		}
		if r.ClientCPU <= 0 || r.ClientCPUUsPerRequest <= 0 || r.ClientSaturated != (r.ClientCPU > 0.95) {
			t.Errorf("%+v", r)
		}
		c := r.LatencyCurve
		if len(c) < 2 || c[len(c)-1].Count != r.Requests || c[len(c)-1].Quantile != 1 || c[len(c)-1].Us != r.LatencyUs.Max {
			t.Errorf("the curve %v does not belong to %+v", c, r.LatencyUs)
		}
	})
}

func TestConnectionPerRequest(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		var kept atomic.Int64
		s := newServer(t, func(q *request) error {
			if !q.Close {
				kept.Add(1)
			}
			_ = hello(q)
			return errHangUp
		})
		r := load(t, Config{Target: s.url, Driver: driver, Connections: 8, Count: 300, Close: true})
		if r.Requests != 300 || s.accepted.Load() != 300 || r.Connects != 300 || kept.Load() != 0 || len(r.Errors) > 0 || r.KeepAlive {
			t.Errorf("%d connections, %d kept; %+v", s.accepted.Load(), kept.Load(), r)
		}
	})
}

// Responses that are not what was wanted are errors and nothing else.
func TestChecks(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		s := newServer(t, func(q *request) error {
			if q.URL.Path == "/404" {
				_, err := q.w.WriteString("HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\nHello, World!")
				return err
			}
			if q.n%2 == 0 {
				return q.ok("hello, world.")
			}
			return hello(q)
		})
		length, sum := int64(12), fmt.Sprintf("%x", sha256.Sum256([]byte("Hello, World!")))
		for _, c := range []struct {
			request  Request
			errors   string
			n, right int64
		}{
			{Request{Path: "/404"}, "status", 40, 0},
			{Request{Path: "/404", Status: 404}, "", 0, 40},
			{Request{Status: 204}, "status", 40, 0},
			{Request{Length: &length}, "length", 40, 0},
			{Request{SHA256: sum}, "hash", 20, 20},
		} {
			r := load(t, Config{Target: s.url, Driver: driver, Connections: 4, Count: 40, Requests: []Request{c.request}})
			// a quick connection has more than its share of the odd ones
			if d := r.Requests - c.right; d < -2 || d > 2 || (d != 0 && c.n*c.right == 0) || r.Requests+r.Errors[c.errors] != 40 || len(r.WarmupErrors) > 0 {
				t.Errorf("%+v: %+v", c, r)
			}
		}
	})
}

// A server that closes in good order costs no request, not even those that
// were pipelined behind the last response.
func TestServerCloses(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		announced := newServer(t, func(q *request) error {
			if q.n == 5 {
				_, _ = q.w.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
				return errHangUp
			}
			return hello(q)
		})
		r := load(t, Config{Target: announced.url, Driver: driver, Connections: 3, Pipelining: 16, Count: 200})
		if r.Requests != 200 || sum(r.Errors) != 0 || r.Reconnects < 30 {
			t.Errorf("announced: %+v", r)
		}
		old := newServer(t, func(q *request) error {
			_, _ = q.w.WriteString("HTTP/1.0 200 OK\r\n\r\n" + repeat("x", 100_000))
			return errHangUp
		})
		length := int64(100_000)
		r = load(t, Config{Target: old.url, Driver: driver, Connections: 3, Count: 50, Requests: []Request{{Length: &length}}})
		if r.Requests != 50 || sum(r.Errors) != 0 || old.accepted.Load() < 50 {
			t.Errorf("HTTP/1.0: %+v", r)
		}
	})
}

// Requests that are larger than what may wait for sending, and large responses.
func TestLargeBodies(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		s := newServer(t, func(q *request) error { return q.ok(q.body) })
		body := []byte(repeat("0123456789abcdef", 5<<20/16))
		r := load(t, Config{Target: s.url, Driver: driver, Connections: 2, Pipelining: 2, Count: 8,
			Requests: []Request{{Method: "PUT", Body: body, SHA256: fmt.Sprintf("%x", sha256.Sum256(body))}}})
		if r.Requests != 8 || r.Bytes < 40<<20 || r.BytesSent < 40<<20 {
			t.Errorf("%+v", r)
		}
	})
}

func TestSources(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		s := newServer(t, hello)
		r := load(t, Config{Target: s.url, Driver: driver, Connections: 20, Loops: 2, Count: 40, Sources: 5})
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.peers) != 5 || !s.peers["127.0.0.1"] || !s.peers["127.0.0.5"] || r.Requests != 40 {
			t.Errorf("connections come from %v; %+v", s.peers, r)
		}
	})
}

// A run that is interrupted reports what it has.
func TestInterrupt(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		s := newServer(t, hello)
		seen := false
		r, err := Run(ctx, Config{Target: s.url, Driver: driver, Connections: 4, Duration: time.Hour, OnTick: func(p Progress) {
			if p.Phase == "measuring" && p.Done > 0 && p.P50Us > 0 && p.Connections == 4 && p.Total == 3600 {
				seen = true
				cancel()
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		checkReport(t, r)
		if !seen || !r.Interrupted || r.Requests == 0 || len(r.Errors) > 0 || r.DurationS > patience.Seconds() {
			t.Errorf("%+v", r)
		}
		// before anything is connected
		cancel()
		if r, err = Run(ctx, Config{Target: s.url, Driver: driver}); err != nil || !r.Interrupted || r.Requests != 0 && r.DurationS == 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestRunRefuses(t *testing.T) {
	for want, c := range map[string]Config{
		"loopback":   {Target: "http://192.0.2.1:80"},
		"driver":     {Target: "http://127.0.0.1:1", Driver: "kqueue"},
		"tier":       {Target: "http://127.0.0.1:1", MaxTier: "7.0"},
		"descriptor": {Target: "http://127.0.0.1:1", Connections: maxConnections},
		"token":      {Target: "http://127.0.0.1:1", Requests: []Request{{Method: "A B"}}},
	} {
		r, err := Run(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %+v, %v; want an error about %q", c, r, err, want)
		}
	}
}

// The names in JSON are the format.
func TestJSON(t *testing.T) {
	text, err := json.Marshal(Report{LatencyCurve: []Point{{}}, Mix: []Part{{}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(`format target mix name method path weight request_bytes driver tier loops connections
		pipelining keep_alive mode rate warmup_s duration_s requests responses_per_s bytes bytes_sent statuses errors warmup_errors
		connects reconnects latency_us count min mean stddev p50 p90 p99 p999 max latency_curve quantile us unanswered unsent
		client_cpu_us_per_request client_cpu client_wait client_saturated interrupted aborted`) {
		if !strings.Contains(string(text), `"`+name+`":`) {
			t.Errorf("no %q in %s", name, text)
		}
	}
}
