//go:build linux

package httpcore

import (
	"context"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
	"github.com/ringcore/ringcore/ring"
)

// nullDriver is a driver without a kernel: one connection receives the same
// octets again and again, and what is sent is gone at once. What a benchmark
// over it costs is what a request costs in this program.
type nullDriver struct {
	data  []byte
	turns int // receives still to come
	done  chan struct{}
	queue []ring.Event
	recv  ring.Token
	armed bool
}

func (d *nullDriver) Accept(_ int, t ring.Token) {
	d.queue = append(d.queue, ring.Event{Token: t, Op: ring.OpAccept, N: 1 << 20, More: true})
}
func (d *nullDriver) Receive(_ int, t ring.Token)   { d.recv, d.armed = t, true }
func (*nullDriver) Socket(int) (int, error)         { return -1, syscall.EMFILE }
func (*nullDriver) Connect(int, ring.Token, []byte) {}
func (d *nullDriver) Send(_ int, t ring.Token, p []byte) {
	d.queue = append(d.queue, ring.Event{Token: t, Op: ring.OpSend, N: len(p)})
}
func (d *nullDriver) Cancel(_ int, t ring.Token, op ring.Op) {
	d.armed = d.armed && op != ring.OpReceive
	d.queue = append(d.queue, ring.Event{Token: t, Op: op, Err: 125})
}
func (d *nullDriver) Close(int)             {}
func (d *nullDriver) Detach(int) error      { return nil }
func (d *nullDriver) Release(ring.BufferID) {}
func (d *nullDriver) Wake()                 {}
func (d *nullDriver) Stats() ring.Stats     { return ring.Stats{} }
func (d *nullDriver) Destroy() error        { return nil }

func (d *nullDriver) Next(ev *ring.Event) bool {
	if len(d.queue) == 0 {
		return false
	}
	*ev = d.queue[0]
	d.queue = d.queue[:copy(d.queue, d.queue[1:])]
	return true
}

func (d *nullDriver) Wait(time.Duration) error {
	if len(d.queue) == 0 && d.armed {
		if d.turns == 0 {
			if d.done != nil {
				close(d.done)
				d.done = nil
			}
			time.Sleep(time.Millisecond)
			return nil
		}
		d.turns--
		d.queue = append(d.queue, ring.Event{Token: d.recv, Op: ring.OpReceive, N: len(d.data), Data: d.data, More: true})
	}
	return nil
}

func benchmarkPath(b *testing.B, request string, depth int) {
	d := &nullDriver{data: []byte(strings.Repeat(request, depth)), turns: b.N/depth + 1, done: make(chan struct{})}
	done := d.done
	s := New(&fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == "/" {
			ctx.SetContentType("text/plain")
			ctx.SetBodyString("Hello, World!")
		}
	}}, WithDispatch(Inline), func(o *options) {
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

func BenchmarkPathPlaintext(b *testing.B) {
	benchmarkPath(b, "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n", 1)
}

func BenchmarkPathPipelined16(b *testing.B) {
	benchmarkPath(b, "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n", 16)
}

func BenchmarkPathBrowser(b *testing.B) {
	benchmarkPath(b, "GET / HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/118.0\r\n"+
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n"+
		"Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"+
		"Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\r\n", 1)
}
