//go:build linux

package gen

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ringcore/ringcore/ring"
)

// answering is a driver without a kernel: what is sent is answered at once.
// What a benchmark over it costs is what a request costs in this program.
type answering struct {
	request  int    // octets of one
	response []byte // as many of them as are ever asked for at once
	one      int    // octets of one
	queue    []ring.Event
	taken    int
	receives map[ring.Token]bool
	calls    ring.Stats
}

func newAnswering(request int, response string, deep int) *answering {
	return &answering{request: request, response: []byte(strings.Repeat(response, deep)), one: len(response), receives: map[ring.Token]bool{}}
}

const noSocket = 1 << 20 // no descriptor of this process

func (d *answering) Socket(int) (int, error)     { return noSocket, nil }
func (d *answering) Accept(int, ring.Token)      {}
func (d *answering) Receive(_ int, t ring.Token) { d.receives[t] = true }
func (d *answering) Close(int)                   {}
func (d *answering) Shutdown(int, int) error     { return nil }
func (d *answering) Detach(int) error            { return nil }
func (d *answering) Release(ring.BufferID)       {}
func (d *answering) Wake()                       {}
func (d *answering) Stats() ring.Stats           { return d.calls }
func (d *answering) Destroy() error              { return nil }
func (d *answering) Connect(_ int, t ring.Token, _ []byte) {
	d.queue = append(d.queue, ring.Event{Token: t, Op: ring.OpConnect})
}
func (d *answering) Cancel(_ int, t ring.Token, op ring.Op) {
	d.queue = append(d.queue, ring.Event{Token: t, Op: op, Err: 125})
}
func (d *answering) Send(_ int, t ring.Token, p []byte) {
	data := d.response[:len(p)/d.request*d.one]
	d.queue = append(d.queue, ring.Event{Token: t, Op: ring.OpSend, N: len(p)},
		ring.Event{Token: t, Op: ring.OpReceive, N: len(data), Data: data, More: true})
}

func (d *answering) Next(ev *ring.Event) bool {
	if d.taken == len(d.queue) {
		d.queue, d.taken = d.queue[:0], 0
		return false
	}
	*ev = d.queue[d.taken]
	d.taken++
	return true
}

func (d *answering) Wait(time.Duration) error {
	if d.taken == len(d.queue) {
		time.Sleep(time.Millisecond)
	}
	return nil
}

// BenchmarkClient is a request's whole way through the client: written, sent,
// received, taken apart, checked, recorded; 64 connections.
func BenchmarkClient(b *testing.B) {
	const response = "HTTP/1.1 200 OK\r\nServer: ringcore\r\nDate: Thu, 26 Nov 2026 09:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!"
	for _, deep := range []int{1, 16} {
		b.Run(fmt.Sprintf("pipelining=%d", deep), func(b *testing.B) {
			wire, _ := (&Request{}).render("127.0.0.1:80", false)
			d := newAnswering(len(wire), response, deep)
			b.ReportAllocs()
			b.ResetTimer()
			r, err := Run(b.Context(), Config{Target: "http://127.0.0.1:80", Pipelining: deep, Count: int64(b.N),
				openDriver: func(ring.Config) (ring.Driver, error) { return d, nil }})
			if err != nil || r.Requests != int64(b.N) {
				b.Fatalf("%+v, %v", r, err)
			}
			b.ReportMetric(1e9*r.DurationS/float64(b.N), "ns/op") // without starting and connecting
		})
	}
}

// A request allocates nothing: ten thousand more of them make no difference.
func TestRequestAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	allocs := func(count int64) float64 {
		wire, _ := (&Request{}).render("127.0.0.1:80", false)
		return testing.AllocsPerRun(3, func() {
			d := newAnswering(len(wire), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1)
			r, err := Run(t.Context(), Config{Target: "http://127.0.0.1:80", Count: count,
				openDriver: func(ring.Config) (ring.Driver, error) { return d, nil }})
			if err != nil || r.Requests != count {
				t.Fatalf("%+v, %v", r, err)
			}
		})
	}
	if few, many := allocs(1000), allocs(11_000); many-few > 100 {
		t.Errorf("1,000 requests: %v allocations, 11,000: %v", few, many)
	}
}

func BenchmarkRecorder(b *testing.B) {
	r := newRecorder(60e9)
	b.ReportAllocs()
	for n := int64(0); b.Loop(); n++ {
		r.record(50_000 + n%1000*100)
	}
}
