//go:build linux

package conn

import (
	"fmt"
	"io"
	"sync"
	"testing"
	"time"
)

// TestEchoAllocatesNothing: a message that is received and answered costs no
// allocation, neither the server nor the (net) client.
func TestEchoAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	run(t, func(t *testing.T, kind DriverKind) {
		h := echo()
		h.data = func(c *Conn, p []byte) int {
			b := c.Reserve(len(p))
			c.Commit(copy(b, p))
			c.SetTimeout(ReadTimer, 1e10)
			return len(p)
		}
		e := serve(t, kind, h, Options{})
		nc := e.dial()
		p, q := pattern(100), make([]byte, 100)
		roundTrip := func() {
			write(t, nc, p)
			if _, err := io.ReadFull(nc, q); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 {
			roundTrip()
		}
		if n := testing.AllocsPerRun(2000, roundTrip); n != 0 {
			t.Errorf("%v allocations per message", n)
		}
	})
}

// BenchmarkEcho measures round trips of 64 bytes, client included.
func BenchmarkEcho(b *testing.B) {
	for _, kind := range []DriverKind{IOUring, Epoll} {
		for _, conns := range []int{1, 64} {
			b.Run(fmt.Sprintf("%v/conns=%d", kind, conns), func(b *testing.B) {
				requireDriver(b, kind)
				e := serve(b, kind, echo(), Options{})
				clients := make([]io.ReadWriter, conns)
				for i := range clients {
					nc := e.dial()
					if err := nc.SetDeadline(time.Time{}); err != nil {
						b.Fatal(err)
					}
					clients[i] = nc
				}
				p := pattern(64)
				b.ReportAllocs()
				b.SetBytes(int64(len(p)))
				b.ResetTimer()
				var all sync.WaitGroup
				for i, nc := range clients {
					n := b.N / conns
					if i < b.N%conns {
						n++
					}
					all.Go(func() {
						q := make([]byte, len(p))
						for range n {
							if _, err := nc.Write(p); err != nil {
								b.Error(err)
								return
							}
							if _, err := io.ReadFull(nc, q); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
				b.StopTimer()
			})
		}
	}
}
