//go:build linux

package httpcore

import (
	"context"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func TestStats(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		const n, loops = 40, 2
		ts := serve(t, m, &fasthttp.Server{Handler: echo}, WithLoops(loops))
		ctx := t.Context()
		sum := func() (s LoopStats) {
			all := ts.Stats(ctx)
			if len(all) != loops {
				t.Fatalf("%d loops, want %d", len(all), loops)
			}
			for _, l := range all {
				if l.Busy || l.Turns == 0 || l.BuffersInUse != 0 {
					t.Errorf("a loop at rest: %+v", l)
				}
				s.Conns += l.Conns
				s.Responses += l.Responses
				s.Enters += l.Enters
				s.Completed += l.Completed
				s.P50, s.P99 = max(s.P50, l.P50), max(s.P99, l.P99)
			}
			return s
		}
		before := sum()
		clients := []*client{ts.dial(), ts.dial(), ts.dial()}
		for range n {
			for _, c := range clients {
				c.send(get("/"))
				c.want(200, "GET /||")
			}
		}
		after := sum()
		if got := after.Responses - before.Responses; got != n*3 {
			t.Errorf("%d responses, want %d", got, n*3)
		}
		if after.Conns != 3 || after.Enters <= before.Enters || after.Completed < before.Completed+n*3 {
			t.Errorf("%+v after %+v", after, before)
		}
		if after.P50 <= 0 || after.P99 < after.P50 || after.P99 > time.Minute {
			t.Errorf("p50 %v, p99 %v", after.P50, after.P99)
		}
		if s := sum(); s.P50 != 0 || s.P99 != 0 {
			t.Errorf("times of responses that there were not: %v, %v", s.P50, s.P99)
		}
	})
}

// A loop that does not answer holds nobody up for longer than he wants to wait.
func TestStatsOfABusyLoop(t *testing.T) {
	for _, kind := range []DriverKind{IOUring, Epoll} {
		t.Run(kind.String(), func(t *testing.T) {
			m := mode{driver: kind, dispatch: Inline}
			requireDriver(t, m)
			entered, release := make(chan struct{}), make(chan struct{})
			ts := serve(t, m, &fasthttp.Server{Handler: func(*fasthttp.RequestCtx) {
				close(entered)
				<-release
			}}, WithLoops(1))
			c := ts.dial()
			c.send(get("/"))
			<-entered
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if all := ts.Stats(ctx); len(all) != 1 || !all[0].Busy || all[0].Conns != 1 {
				t.Errorf("%+v", all)
			}
			close(release)
			c.want(200, "")
		})
	}
}

func TestStatsBeforeAndAfter(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		if err := ts.Shutdown(); err != nil {
			t.Fatal(err)
		}
		if all := ts.Stats(t.Context()); all != nil {
			t.Errorf("after the end: %+v", all)
		}
	})
	if all := New(&fasthttp.Server{}).Stats(t.Context()); all != nil {
		t.Errorf("before Serve: %+v", all)
	}
}

// Times are measured for a while after somebody has asked, and then no more.
func TestTimesEnd(t *testing.T) {
	x := &exchange{}
	p := &protocol{times: &times{until: time.Now().Add(time.Hour)}}
	p.noteTime(x)
	if p.times == nil || p.times.count != 1 {
		t.Fatal("not measured")
	}
	p.times.until = time.Now().Add(-time.Hour)
	p.noteTime(x)
	if p.times != nil {
		t.Error("measured for too long")
	}
}

func TestTimes(t *testing.T) {
	var h times
	if h.percentile(0.5) != 0 {
		t.Error("the median of nothing")
	}
	for i := range 1000 {
		h.note(time.Duration(i+1) * time.Microsecond)
	}
	for p, want := range map[float64]time.Duration{0: time.Microsecond, 0.5: 500 * time.Microsecond, 0.99: 990 * time.Microsecond, 1: time.Millisecond} {
		got := h.percentile(p)
		if d := float64(got-want) / float64(want); d > 0.1 || d < -0.1 {
			t.Errorf("percentile %v: %v, want %v", p, got, want)
		}
	}
	for _, d := range []time.Duration{-1, 0, 1, 7, 1 << 40, 1<<63 - 1} { // none is out of range
		h.note(d)
	}
}
