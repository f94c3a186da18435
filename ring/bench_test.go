//go:build linux

package ring

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkNop is what an operation costs that does nothing: preparing its SQE,
// its share of an enter, taking its CQE.
func BenchmarkNop(b *testing.B) {
	for _, batch := range []int{1, 64} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			r := testRing(b, Tier61, 4096, 4096, opNop)
			b.ReportAllocs()
			b.ResetTimer()
			var c cqe
			for done := 0; done < b.N; {
				for i := range batch {
					r.sq.take().prepareNop(uint64(i))
				}
				if _, errno := r.submit(r.sq.publish()); errno != 0 {
					b.Fatal(errno)
				}
				for r.cq.empty(); r.cq.take(&c); {
					done++
				}
			}
		})
	}
}

// BenchmarkEcho is a round of every connection: the peers write 64 bytes, the
// driver receives them and sends them back, the peers read. The peers' two
// system calls are part of it. Time and allocations are per message.
func BenchmarkEcho(b *testing.B) {
	for _, tier := range []Tier{Tier519, Tier60, Tier61} {
		for _, connections := range []int{1, 64} {
			b.Run(fmt.Sprintf("tier=%v/conns=%d", tier, connections), func(b *testing.B) {
				benchmarkEcho(b, tier, connections)
			})
		}
	}
}

func benchmarkEcho(b *testing.B, tier Tier, connections int) {
	const size = 64
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	u := testDriver(b, tier, Config{Buffers: 1024})
	out, err := mapMemory(connections * size)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Munmap(out)
	fds, peers := make([]int, connections), make([]int, connections)
	for i := range fds {
		fds[i], peers[i] = tcpPair(b)
		u.Receive(fds[i], MakeToken(uint32(i), 0))
	}
	in := make([]byte, size)
	var ev Event
	before := u.Stats().Enters
	b.ReportAllocs()
	b.ResetTimer()
	rounds := 0
	for done := 0; done < b.N; done += connections {
		rounds++
		for _, peer := range peers {
			if _, err := unix.Write(peer, in); err != nil {
				b.Fatal(err)
			}
		}
		for sent := 0; sent < connections; {
			if !u.Next(&ev) {
				if err := u.Wait(time.Second); err != nil {
					b.Fatal(err)
				}
				continue
			}
			if ev.Err != 0 && ev.Err != unix.EAGAIN {
				b.Fatalf("%v: %v", ev.Op, ev.Err)
			}
			if ev.Op == OpSend {
				sent++
				continue
			}
			i := int(ev.Token.Slot())
			if ev.Buffer != NoBuffer {
				n := copy(out[i*size:][:size], ev.Data)
				u.Release(ev.Buffer)
				u.Send(fds[i], ev.Token, out[i*size:][:n])
			}
			if !ev.More {
				u.Receive(fds[i], ev.Token)
			}
		}
		for _, peer := range peers {
			if n, err := unix.Read(peer, in); n != size {
				b.Fatalf("read %d: %v", n, err)
			}
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(u.Stats().Enters-before)/float64(rounds), "enters/round")
}
