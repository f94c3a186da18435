//go:build linux

package httpcore

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
	"github.com/ringcore/ringcore/ring"
)

// manyDriver is a driver without a kernel, as nullDriver is, with many connections:
// each sends its next request when its response is there, and while all wait for
// one, the loop sleeps until it is woken. So what a benchmark over it costs is
// the way of a request to where its handler runs, and back.
type manyDriver struct {
	*nullDriver
	conns int
	ready []ring.Token // connections whose response is there
	last  int          // responses still to come
	woken chan struct{}
}

func (d *manyDriver) Accept(fd int, t ring.Token) {
	for range d.conns {
		d.nullDriver.Accept(fd, t)
	}
}

func (d *manyDriver) Receive(_ int, t ring.Token) { d.ready = append(d.ready, t) }

func (d *manyDriver) Send(fd int, t ring.Token, p []byte) {
	d.nullDriver.Send(fd, t, p)
	d.ready = append(d.ready, t)
	if d.last--; d.last == 0 {
		close(d.done)
	}
}

func (d *manyDriver) Wake() {
	select {
	case d.woken <- struct{}{}:
	default:
	}
}

func (d *manyDriver) Wait(timeout time.Duration) error {
	for _, t := range d.ready[:min(len(d.ready), d.turns)] {
		d.turns--
		d.queue = append(d.queue, ring.Event{Token: t, Op: ring.OpReceive, N: len(d.data), Data: d.data, More: true})
	}
	d.ready = d.ready[:0]
	if len(d.queue) > 0 || timeout == 0 {
		return nil
	}
	if timeout < 0 {
		<-d.woken
		return nil
	}
	t := time.NewTimer(timeout)
	defer t.Stop()
	select {
	case <-d.woken:
	case <-t.C:
	}
	return nil
}

// benchmarkMany has conns connections ask b.N times in all.
func benchmarkMany(b *testing.B, dispatch Dispatch, conns int, handler fasthttp.RequestHandler) {
	done := make(chan struct{})
	d := &manyDriver{conns: conns, last: b.N, woken: make(chan struct{}, 1),
		nullDriver: &nullDriver{data: []byte("GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"), turns: b.N, done: done}}
	s := New(&fasthttp.Server{Handler: handler}, WithDispatch(dispatch), WithLoops(1), func(o *options) {
		o.tune.conn = func(o *conn.Options) {
			o.OpenDriver = func(ring.Config) (ring.Driver, error) { return d, nil }
		}
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	go s.Serve(ln)
	<-done
	b.StopTimer()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.ShutdownWithContext(ctx)
}

// BenchmarkDispatch is a request's way to its handler and back: on the loop,
// over a goroutine of the pool, and where the loop has learned that it is quick.
func BenchmarkDispatch(b *testing.B) {
	for _, dispatch := range []Dispatch{Inline, Pooled, Adaptive} {
		for _, conns := range []int{1, 64} {
			b.Run(fmt.Sprintf("%v/conns=%d", dispatch, conns), func(b *testing.B) { benchmarkMany(b, dispatch, conns, hello) })
		}
	}
}

// BenchmarkSuspend is a request that gives its goroutine back, and is resumed
// by another one.
func BenchmarkSuspend(b *testing.B) {
	for _, conns := range []int{1, 64} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			waiting := make(chan func(), conns)
			defer close(waiting)
			go func() {
				for resume := range waiting {
					resume()
				}
			}()
			benchmarkMany(b, Inline, conns, func(ctx *fasthttp.RequestCtx) {
				hello(ctx)
				waiting <- Suspend(ctx)
			})
		})
	}
}

// BenchmarkAfter is a timer of a request: one that is stopped before its time,
// as most are, and one that resumes the request at once.
func BenchmarkAfter(b *testing.B) {
	b.Run("stopped", func(b *testing.B) {
		benchmarkMany(b, Inline, 64, func(ctx *fasthttp.RequestCtx) {
			hello(ctx)
			After(ctx, time.Minute, func(error) {}).Stop()
		})
	})
	b.Run("fired", func(b *testing.B) {
		benchmarkMany(b, Inline, 64, func(ctx *fasthttp.RequestCtx) {
			hello(ctx)
			resume := Suspend(ctx)
			After(ctx, 0, func(error) { resume() })
		})
	})
}
