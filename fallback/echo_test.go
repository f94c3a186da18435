//go:build linux

package fallback

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// echo sends back what it receives, straight from the receive buffer.
type echo struct {
	*Epoll
	fds    []int           // by slot
	buffer []ring.BufferID // by slot: what the send in flight is from
	ended  int
}

func (e *echo) add(fd int) {
	e.fds = append(e.fds, fd)
	e.buffer = append(e.buffer, ring.NoBuffer)
	e.Receive(fd, ring.MakeToken(uint32(len(e.fds)-1), 0))
}

// turn takes what there is and returns the number of echoes that are complete.
func (e *echo) turn(timeout time.Duration) (echoes int, err error) {
	if err := e.Wait(timeout); err != nil {
		return 0, err
	}
	var ev ring.Event
	for e.Next(&ev) {
		slot := ev.Token.Slot()
		switch {
		case ev.Err != 0:
			return 0, ev.Err
		case ev.Op == ring.OpSend:
			e.Release(e.buffer[slot])
			echoes++
		case ev.N > 0:
			e.buffer[slot] = ev.Buffer
			e.Send(e.fds[slot], ev.Token, ev.Data)
		default:
			e.ended++
		}
	}
	return echoes, nil
}

// An echo allocates nothing and costs a recv and a send, and each turn one
// epoll_wait. Peers and driver run in lock-step on one goroutine.
func TestCostOfEcho(t *testing.T) {
	const turns = 20
	for _, connections := range []int{1, 64} {
		t.Run(fmt.Sprint(connections), func(t *testing.T) {
			d := open(t, ring.Config{})
			e := &echo{Epoll: d.Epoll}
			var peers []int
			for range connections {
				fd, peer := pair(t)
				defer d.Close(fd)
				e.add(fd)
				peers = append(peers, peer)
			}
			p := make([]byte, 100)
			var failed error
			round := func() {
				for _, peer := range peers {
					if _, err := unix.Write(peer, p); err != nil {
						failed = err
					}
				}
				for done := 0; done < connections && failed == nil; {
					n, err := e.turn(patience)
					if done += n; err != nil {
						failed = err
					}
				}
				for _, peer := range peers {
					if err := readFull(peer, p); err != nil {
						failed = err
					}
				}
			}
			round()
			before := d.Stats().Enters
			allocs := testing.AllocsPerRun(turns, round) // one more to warm up
			calls := float64(d.Stats().Enters-before) / (turns + 1)
			must(t, "echo", failed)
			if allocs != 0 {
				t.Errorf("%v allocations per round", allocs)
			}
			// A second epoll_wait now and then: loopback may deliver late.
			if want := float64(2*connections) + 2; calls < float64(2*connections) || calls > want {
				t.Errorf("%.2f system calls for %d echoes, want at most %v", calls, connections, want)
			}
			if n := d.Stats(); n.BuffersInUse != 0 || n.Buffers != firstBuffers {
				t.Errorf("echoes of a hot buffer used more: %+v", n)
			}
		})
	}
}

// BenchmarkEcho has connections in lock-step with one client thread, which is
// a loop over epoll itself, so that it is not what limits.
func BenchmarkEcho(b *testing.B) {
	for _, connections := range []int{1, 8, 64, 512} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			benchmarkEcho(b, connections, epollServer)
		})
	}
}

// BenchmarkEchoNet is the same against a goroutine per connection of package net.
func BenchmarkEchoNet(b *testing.B) {
	for _, connections := range []int{1, 8, 64, 512} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			benchmarkEcho(b, connections, netServer)
		})
	}
}

// A server serves fds until all of them have ended, and returns the number of
// system calls it made, 0 for unknown.
type server func(fds []int) (calls uint64, err error)

func epollServer(fds []int) (uint64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	d, err := Open(ring.Config{})
	if err != nil {
		return 0, err
	}
	defer d.Destroy()
	e := &echo{Epoll: d}
	for _, fd := range fds {
		e.add(fd)
	}
	for e.ended < len(fds) && err == nil {
		_, err = e.turn(-1)
	}
	calls := d.Stats().Enters
	for _, fd := range fds {
		d.Close(fd)
	}
	return calls, err
}

func netServer(fds []int) (uint64, error) {
	ended := make(chan error, len(fds))
	for _, fd := range fds {
		conn, err := fileConn(fd)
		if err != nil {
			return 0, err
		}
		go func() {
			defer conn.Close()
			for p := make([]byte, 4096); ; {
				n, err := conn.Read(p)
				if err != nil {
					ended <- nil
					return
				}
				if _, err := conn.Write(p[:n]); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	var failed error
	for range fds {
		if err := <-ended; err != nil {
			failed = err
		}
	}
	return 0, failed
}

func benchmarkEcho(b *testing.B, connections int, serve server) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var fds []int
	client, err := Open(ring.Config{})
	must(b, "client", err)
	defer client.Destroy()
	peers := &echo{Epoll: client}
	for range connections {
		fd, peer := pair(b)
		fds = append(fds, fd)
		peers.add(peer)
	}
	type outcome struct {
		calls uint64
		err   error
	}
	served := make(chan outcome, 1)
	go func() {
		calls, err := serve(fds)
		served <- outcome{calls, err}
	}()

	b.ReportAllocs()
	b.ResetTimer()
	all, own := cpu(b, unix.RUSAGE_SELF), cpu(b, unix.RUSAGE_THREAD)
	p := offHeap(b, 100)
	for _, peer := range peers.fds { // the echoes of both sides keep them going
		write(b, peer, p)
	}
	echoes := 0
	for echoes < b.N {
		n, err := peers.turn(-1)
		must(b, "client", err)
		echoes += n
	}
	all, own = cpu(b, unix.RUSAGE_SELF)-all, cpu(b, unix.RUSAGE_THREAD)-own
	b.StopTimer()
	for _, peer := range peers.fds {
		must(b, "shutdown", unix.Shutdown(peer, unix.SHUT_WR))
	}
	var o outcome
	for waiting := true; waiting; {
		select {
		case o = <-served:
			waiting = false
		default:
			_, _ = peers.turn(time.Millisecond) // echoes still under way
		}
	}
	must(b, "server", o.err)
	b.ReportMetric(float64((all-own).Nanoseconds())/float64(echoes), "server-cpu-ns/op")
	if o.calls > 0 {
		b.ReportMetric(float64(o.calls)/float64(echoes), "syscalls/op")
	}
}

// cpu returns the time that a thread or the process has used so far.
func cpu(b *testing.B, who int) time.Duration {
	var usage unix.Rusage
	must(b, "getrusage", unix.Getrusage(who, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
