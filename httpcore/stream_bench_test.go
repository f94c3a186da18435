//go:build linux

package httpcore

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/valyala/fasthttp"
)

// BenchmarkStreamFlushes streams a response in small pieces, each flushed: what
// server-sent events and proxies do.
func BenchmarkStreamFlushes(b *testing.B) {
	for _, m := range []mode{{IOUring, Pooled, TierBest}, {Epoll, Pooled, TierBest}} {
		for _, size := range []int{100, 4096} {
			b.Run(fmt.Sprintf("%v/%d", m, size), func(b *testing.B) {
				piece := pattern(size)
				n := 0
				s := New(&fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
					ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
						for range n {
							w.Write(piece)
							w.Flush()
						}
					})
				}}, WithDriver(m.driver), WithDispatch(m.dispatch))
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					b.Fatal(err)
				}
				go s.Serve(ln)
				defer s.Shutdown()
				nc, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				defer nc.Close()
				b.SetBytes(int64(size))
				b.ResetTimer()
				n = b.N
				io.WriteString(nc, get("/", "Connection: close"))
				if got, err := io.Copy(io.Discard, nc); err != nil || got < int64(size*n) {
					b.Fatalf("got %d octets, %v", got, err)
				}
			})
		}
	}
}
