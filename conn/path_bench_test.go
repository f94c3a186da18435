//go:build linux

package conn

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringcore/ringcore/ring"
)

// sink is a driver without a kernel: what is sent is gone at once. What a
// benchmark over it costs is what conn costs.
type sink struct {
	queue   []ring.Event
	taken   int
	receive ring.Token
	woken   chan struct{}
}

func (d *sink) Accept(int, ring.Token)                {}
func (d *sink) Socket(int) (int, error)               { return 1 << 20, nil } // no descriptor of this process
func (d *sink) Connect(int, ring.Token, []byte)       {}
func (d *sink) Receive(_ int, t ring.Token)           { d.receive = t }
func (d *sink) Cancel(_ int, t ring.Token, o ring.Op) { d.push(ring.Event{Token: t, Op: o, Err: 125}) }
func (d *sink) Send(_ int, t ring.Token, p []byte) {
	d.push(ring.Event{Token: t, Op: ring.OpSend, N: len(p)})
}
func (d *sink) Close(int)             {}
func (d *sink) Detach(int) error      { return nil }
func (d *sink) Release(ring.BufferID) {}
func (d *sink) Stats() ring.Stats     { return ring.Stats{} }
func (d *sink) Destroy() error        { return nil }
func (d *sink) push(ev ring.Event)    { d.queue = append(d.queue, ev) }

func (d *sink) Wake() {
	select {
	case d.woken <- struct{}{}:
	default:
	}
}

func (d *sink) Next(ev *ring.Event) bool {
	if d.taken == len(d.queue) {
		d.queue, d.taken = d.queue[:0], 0
		return false
	}
	*ev = d.queue[d.taken]
	d.taken++
	return true
}

func (d *sink) Wait(timeout time.Duration) error {
	if timeout < 0 && d.taken == len(d.queue) {
		<-d.woken
	}
	return nil
}

// sinkLoop returns a loop over d that the caller turns itself, with n
// connections.
func sinkLoop(b testing.TB, h Handler, n int) (*Loop, *sink, []*Conn) {
	d := &sink{woken: make(chan struct{}, 1)}
	o := Options{Handler: func(*Loop) Handler { return h }}
	if err := o.setDefaults(); err != nil {
		b.Fatal(err)
	}
	e := &Engine{opts: o}
	l := &Loop{engine: e, opts: &e.opts, driver: d, handler: h, now: 1}
	l.tiny = arena{bufSize: tinySize, maxSlabs: 16}
	l.small = arena{bufSize: smallSize, maxSlabs: 16}
	l.large = arena{bufSize: largeSize, maxSlabs: 16}
	b.Cleanup(func() {
		l.forAll(l.dropOutput)
		l.tiny.close()
		l.small.close()
		l.large.close()
	})
	conns := make([]*Conn, n)
	for i := range conns {
		c := l.slots.take(l)
		c.fd, c.state, c.receiving = 1<<20, stateOpen, true
		conns[i] = c
	}
	return l, d, conns
}

// BenchmarkTurn is a message's way through a turn: received, answered from
// reserved space, its timeout set, sent. 64 connections.
func BenchmarkTurn(b *testing.B) {
	for _, size := range []int{64, 1024, 16 << 10} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			h := &script{data: func(c *Conn, p []byte) int {
				c.Commit(copy(c.Reserve(len(p)), p))
				c.SetTimeout(ReadTimer, time.Minute)
				return len(p)
			}}
			l, d, conns := sinkLoop(b, h, 64)
			p := pattern(size)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += len(conns) {
				for _, c := range conns {
					d.push(ring.Event{Token: c.token(), Op: ring.OpReceive, N: size, Data: p, Buffer: ring.NoBuffer, More: true})
				}
				if err := l.turn(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWrite is Write of many pieces to one connection.
func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{64, 64 << 10} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			l, _, conns := sinkLoop(b, &script{}, 1)
			p := pattern(size)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				for conns[0].Write(p) < len(p) {
					_ = l.turn()
				}
			}
		})
	}
}

// BenchmarkSetTimeout: re-armed with the same value, as each request does;
// with another one, as between a header and an idle wait.
func BenchmarkSetTimeout(b *testing.B) {
	for _, second := range []time.Duration{time.Second, time.Minute} {
		b.Run(fmt.Sprintf("then=%v", second), func(b *testing.B) {
			_, _, conns := sinkLoop(b, &script{}, 1024)
			b.ReportAllocs()
			for n := 0; b.Loop(); n += 2 {
				c := conns[n/2%len(conns)]
				c.SetTimeout(ReadTimer, time.Second)
				c.SetTimeout(ReadTimer, second)
			}
		})
	}
}

// BenchmarkSlot is a connection's place in the table: taken, looked up, given back.
func BenchmarkSlot(b *testing.B) {
	l, _, _ := sinkLoop(b, &script{}, 1000)
	b.ReportAllocs()
	for b.Loop() {
		c := l.slots.take(l)
		c.state = stateOpen
		if l.slots.lookup(c.token()) != c {
			b.Fatal("lost")
		}
		l.slots.give(c)
	}
}

// BenchmarkPost is a task's way from another goroutine to a loop that works
// (it takes them in batches) and to one that sleeps (it has to be woken, and
// the poster waits for it).
func BenchmarkPost(b *testing.B) {
	for _, kind := range []DriverKind{IOUring, Epoll} {
		for _, batch := range []int{1, 64} {
			b.Run(fmt.Sprintf("%v/batch=%d", kind, batch), func(b *testing.B) {
				requireDriver(b, kind)
				e := clientOnly(b, kind, Options{})
				done := make(chan struct{}, 1)
				tasks := make([]Task, batch)
				for i := range tasks {
					tasks[i].Run = func(*Loop) {
						if i == batch-1 {
							done <- struct{}{}
						}
					}
				}
				b.ReportAllocs()
				b.ResetTimer()
				for n := 0; n < b.N; n += batch {
					for i := range tasks {
						e.loops[0].Post(&tasks[i])
					}
					<-done
				}
			})
		}
	}
}
