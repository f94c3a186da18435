//go:build linux

package gen

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPlan(t *testing.T) {
	const workers = 3
	var plans [workers]plan
	for i := range plans {
		plans[i] = newPlan(1000, 1e6, i, workers)
	}
	for n := range int64(30) {
		p := &plans[n%workers]
		want := 1000 + n*1000
		for _, c := range []struct{ now, due int64 }{{want - 1, 0}, {want, 1}, {want + 2999, 1}, {want + 3000, 2}, {want + 30_000_000, 10_001}} {
			if got := p.due(c.now); got != c.due {
				t.Fatalf("moment %d: %d due at %d, want %d", n, got, c.now, c.due)
			}
		}
		if got := p.next(); got != want || p.take() != want {
			t.Fatalf("moment %d is %d, want %d", n, got, want)
		}
	}
	p := newPlan(5, 3, 0, 1)
	for p.taken < 3*3600 {
		p.take()
	}
	if got := p.next(); got != 5+3600*1e9 {
		t.Errorf("after an hour at 3/s the next moment is %d", got)
	}
}

// The rate is what was asked for, whatever the number of connections.
func TestOpenLoop(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for _, c := range []Config{{Connections: 20}, {Connections: 4, Loops: 2, Pipelining: 8}, {Connections: 20, Close: true}} {
			s := newServer(t, hello)
			c.Target, c.Driver, c.Rate, c.Duration = s.url, driver, 1000, 500*time.Millisecond
			r := load(t, c)
			planned := int64(r.Rate * r.DurationS)
			if got := r.Requests + r.Unanswered + r.Unsent; got < planned-2 || got > planned+2 {
				t.Errorf("%v requests, want %v: %+v", got, planned, r)
			}
			if r.Mode != "open" || len(r.Errors) > 0 || r.Requests == 0 {
				t.Errorf("%+v", r)
			}
		}
	})
}

// While the server stalls, requests go on falling due, and their waiting
// counts: a closed loop would have seen one slow response a connection.
func TestNoCoordinatedOmission(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		const stall = 400 * time.Millisecond
		var turn sync.Mutex
		var n atomic.Int64
		s := newServer(t, func(q *request) error {
			turn.Lock()
			defer turn.Unlock()
			if n.Add(1) == 100 {
				time.Sleep(stall) // the server's fault, not the test's wait
			}
			return hello(q)
		})
		r := load(t, Config{Target: s.url, Driver: driver, Connections: 5, Rate: 1000, Duration: 800 * time.Millisecond, Curve: true})
		if r.LatencyUs.Max < 0.99*float64(stall.Microseconds()) {
			t.Errorf("a stall of %v, and a highest latency of %v µs", stall, r.LatencyUs.Max)
		}
		quick := int64(0) // answered within half of the stall
		for _, p := range r.LatencyCurve {
			if p.Us < float64(stall.Microseconds())/2 {
				quick = p.Count
			}
		}
		if slow := r.LatencyUs.Count - quick; slow < 150 {
			t.Errorf("%d of %d requests had to wait for half a stall, want about 200: %+v", slow, r.LatencyUs.Count, r)
		}
	})
}

// At a rate that the server does not sustain, everything that was planned is
// accounted for, and nobody's wait is left out.
func TestOverload(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		s := newServer(t, func(q *request) error {
			time.Sleep(20 * time.Millisecond) // so 500/s at most on 10 connections
			return hello(q)
		})
		r := load(t, Config{Target: s.url, Driver: driver, Connections: 10, Rate: 5000, Duration: 500 * time.Millisecond})
		planned := int64(r.Rate * r.DurationS)
		if got := r.Requests + r.Unanswered + r.Unsent; got < planned-1 || got > planned+1 {
			t.Errorf("%d of %d planned requests are accounted for: %+v", got, planned, r)
		}
		if r.LatencyUs.Count < planned-1 || r.LatencyUs.Count > planned+1 {
			t.Errorf("%d latencies of %d planned requests", r.LatencyUs.Count, planned)
		}
		if r.Requests > 10*(int64(r.DurationS/0.02)+1) || r.Unsent < planned/2 || len(r.Errors) > 0 {
			t.Errorf("%+v", r)
		}
		// The requests wait ever longer: at the end as long as the run, nearly.
		if r.LatencyUs.Max < 0.8e6*r.DurationS || r.LatencyUs.P50 < 0.2e6*r.DurationS {
			t.Errorf("after %v s of overload: %+v", r.DurationS, r.LatencyUs)
		}
	})
}
