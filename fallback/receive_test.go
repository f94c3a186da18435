//go:build linux

package fallback

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

var (
	tokenA = ring.MakeToken(1, 1)
	tokenB = ring.MakeToken(2, 1)
)

// An edge that came while nothing was armed is reported by epoll once; it must
// not be lost.
func TestEdgeWhileNotArmed(t *testing.T) {
	d := open(t, ring.Config{})
	fd, peer := pair(t)
	defer d.Close(fd)
	d.Receive(fd, tokenA)
	d.cancelReceive(fd, tokenA)
	write(t, peer, []byte("early"))
	d.quiet("not armed") // epoll has told now, and will not tell again
	if d.sockets.find(fd).ready&readable == 0 {
		t.Fatal("the edge was not seen, so the test shows nothing")
	}
	d.Receive(fd, tokenB)
	d.wantData(tokenB, "early")
	write(t, peer, []byte("late"))
	d.wantData(tokenB, "late")
}

// The same with more data than a buffer holds: the rest has no edge of its own.
func TestPauseBetweenBuffers(t *testing.T) {
	d := open(t, ring.Config{BufferSize: 64})
	fd, peer := pair(t)
	defer d.Close(fd)
	text := bytes.Repeat([]byte("0123456789abcdef"), 10) // 2½ buffers
	write(t, peer, text)
	d.Receive(fd, tokenA)
	d.wantData(tokenA, string(text[:64]))
	d.cancelReceive(fd, tokenA)
	d.quiet("paused")
	d.Receive(fd, tokenB)
	d.wantData(tokenB, string(text[64:128]))
	d.wantData(tokenB, string(text[128:]))
	d.quiet("drained")
}

// A stream that is paused and resumed at random loses nothing.
func TestPauseResume(t *testing.T) {
	d := open(t, ring.Config{BufferSize: 512})
	fd, peer := pair(t)
	defer d.Close(fd)
	want := make([]byte, 1<<20)
	fill(want)
	wrote := make(chan error, 1)
	go func() {
		random := rand.New(rand.NewPCG(3, 4))
		for p := want; len(p) > 0; {
			n, err := unix.Write(peer, p[:min(len(p), 1+random.IntN(4096))])
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				wrote <- err
				return
			}
			p = p[n:]
		}
		wrote <- unix.Shutdown(peer, unix.SHUT_WR)
	}()

	random := rand.New(rand.NewPCG(5, 6))
	var got []byte
	pauses := 0
	d.Receive(fd, tokenA)
	for {
		ev := d.next("stream")
		if ev.N > 0 {
			got = append(got, ev.Data...)
			d.Release(ev.Buffer)
			if random.IntN(8) == 0 {
				d.Cancel(fd, tokenA, ring.OpReceive)
				pauses++
			}
			continue
		}
		if ev.More {
			t.Fatalf("end with More: %+v", ev)
		}
		if ev.Err == 0 {
			break
		}
		if ev.Err != unix.ECANCELED {
			t.Fatalf("receive: %v", ev.Err)
		}
		if random.IntN(2) == 0 {
			d.wait(0) // edges come while paused
		}
		d.Receive(fd, tokenA)
	}
	must(t, "writer", <-wrote)
	if !bytes.Equal(got, want) {
		t.Errorf("received %d bytes, which are not the %d sent", len(got), len(want))
	}
	if pauses < 50 {
		t.Errorf("only %d pauses", pauses)
	}
}

// A FIN that comes together with data makes one edge for both.
func TestDataWithFIN(t *testing.T) {
	for _, size := range []int{1, 63, 64, 65, 128} {
		d := open(t, ring.Config{BufferSize: 64})
		fd, peer := pair(t)
		want := make([]byte, size)
		fill(want)
		write(t, peer, want)
		must(t, "shutdown", unix.Shutdown(peer, unix.SHUT_WR))
		d.Receive(fd, tokenA)
		for rest := string(want); rest != ""; {
			n := min(64, len(rest))
			d.wantData(tokenA, rest[:n])
			rest = rest[n:]
		}
		d.want("EOF", ring.Event{Token: tokenA, Op: ring.OpReceive})
		d.Receive(fd, tokenB)
		d.want("EOF again", ring.Event{Token: tokenB, Op: ring.OpReceive})
		d.Close(fd)
	}
}

func TestReset(t *testing.T) {
	d := open(t, ring.Config{})
	fd, peer := pair(t)
	defer d.Close(fd)
	d.Receive(fd, tokenA)
	d.quiet("no data")
	reset(t, peer)
	d.want("reset", ring.Event{Token: tokenA, Op: ring.OpReceive, Err: unix.ECONNRESET})
}

// reset ends a test's connection with a RST. The number stays taken, so that
// the test may still close it.
func reset(t testing.TB, peer int) {
	t.Helper()
	must(t, "SO_LINGER", unix.SetsockoptLinger(peer, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	must(t, "/dev/null", err)
	must(t, "close", unix.Dup3(null, peer, unix.O_CLOEXEC))
	unix.Close(null)
}

// A read stops at TCP's urgent mark: short, but not drained.
func TestUrgentData(t *testing.T) {
	d := open(t, ring.Config{})
	fd, peer := pair(t)
	defer d.Close(fd)
	write(t, peer, []byte("abc"))
	must(t, "MSG_OOB", unix.Sendto(peer, []byte("!"), unix.MSG_OOB, nil))
	write(t, peer, []byte("def"))
	d.Receive(fd, tokenA)
	d.wantData(tokenA, "abc")
	d.wantData(tokenA, "def")
}

// Events of a socket that was closed while somebody else still holds it must
// not reach the next owner of its number.
func TestReuseOfDescriptor(t *testing.T) {
	d := open(t, ring.Config{})
	fd, peer := pair(t)
	d.Receive(fd, tokenA)
	d.quiet("no data")
	d.cancelReceive(fd, tokenA)
	held, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	must(t, "dup", err)
	defer unix.Close(held)
	d.Close(fd)

	fd2, peer2 := pair(t)
	if fd2 != fd { // the test's own sockets may have taken the number
		must(t, "dup", unix.Dup3(fd2, fd, unix.O_CLOEXEC))
		unix.Close(fd2)
	}
	defer d.Close(fd)
	d.Receive(fd, tokenB)
	d.quiet("new owner")
	if d.sockets.find(fd).ready&readable != 0 {
		t.Fatal("readable before anything was sent")
	}
	write(t, peer, []byte("for the old one"))
	if n, errno := d.sleep(patience); n != 1 || errno != 0 || d.take(n) {
		t.Fatalf("want one event that leads to nothing, got %d, %v", n, errno)
	}
	if d.sockets.find(fd).ready&readable != 0 {
		t.Error("a late event made the new owner readable")
	}
	write(t, peer2, []byte("for the new one"))
	d.wantData(tokenB, "for the new one")
}

// Without buffers the stream ends, and goes on later without a new edge.
func TestOutOfBuffers(t *testing.T) {
	d := open(t, ring.Config{Buffers: 1, BufferSize: 64})
	fd, peer := pair(t)
	defer d.Close(fd)
	write(t, peer, bytes.Repeat([]byte("x"), 100))
	d.Receive(fd, tokenA)
	first := d.want("data", ring.Event{Token: tokenA, Op: ring.OpReceive, More: true, N: 64})
	d.want("no buffer", ring.Event{Token: tokenA, Op: ring.OpReceive, Err: unix.ENOBUFS})
	d.quiet("no buffer")
	d.Release(first.Buffer)
	d.Receive(fd, tokenA)
	d.want("data", ring.Event{Token: tokenA, Op: ring.OpReceive, More: true, N: 36})
}

// The buffer released last is used next; others are provided when needed.
func TestBuffersAreAStack(t *testing.T) {
	const limit = 64
	b, err := openBuffers(ring.Config{Buffers: limit, BufferSize: 128})
	must(t, "buffers", err)
	defer b.close()
	if b.provided != firstBuffers {
		t.Errorf("%d buffers at first, want %d", b.provided, firstBuffers)
	}
	seen := map[uintptr]bool{}
	var ids []ring.BufferID
	for range limit {
		id, p := b.take()
		if id == ring.NoBuffer || len(p) != 128 || cap(p) != 128 || seen[address(p)] {
			t.Fatalf("buffer %d: %d bytes at %#x", id, len(p), address(p))
		}
		p[0], p[127] = 1, 1
		seen[address(p)] = true
		ids = append(ids, id)
	}
	if id, _ := b.take(); id != ring.NoBuffer || b.inUse() != limit {
		t.Errorf("buffer %d beyond the limit, %d in use", id, b.inUse())
	}
	b.put(ids[5])
	b.put(ids[9])
	for _, want := range []ring.BufferID{ids[9], ids[5]} {
		if id, _ := b.take(); id != want {
			t.Errorf("took buffer %d, want the one released last, %d", id, want)
		}
	}
	b.put(ids[3])
	for _, id := range []ring.BufferID{ring.NoBuffer, ids[3], limit + 1} {
		if !panics(func() { b.put(id) }) {
			t.Errorf("releasing buffer %d, which is not in use, went unnoticed", id)
		}
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return
}

// A second receive or send on a socket would mix up its bytes.
func TestTwoOperationsOnASocket(t *testing.T) {
	d := open(t, ring.Config{})
	fd, peer := pair(t)
	defer d.Close(fd)
	d.Receive(fd, tokenA)
	d.Receive(fd, tokenB)
	d.want("second receive", ring.Event{Token: tokenB, Op: ring.OpReceive, Err: unix.EALREADY})
	p := offHeap(t, 1)
	d.Send(fd, tokenA, p)
	d.Send(fd, tokenB, p)
	d.want("first send", ring.Event{Token: tokenA, Op: ring.OpSend, N: 1})
	d.want("second send", ring.Event{Token: tokenB, Op: ring.OpSend, Err: unix.EALREADY})
	write(t, peer, []byte("x"))
	d.wantData(tokenA, "x")
}

// Whatever is wrong with a command is the result of a completion.
func TestBadDescriptors(t *testing.T) {
	d := open(t, ring.Config{})
	fd, _ := pair(t)
	d.Close(fd)
	for _, bad := range []int{-1, fd, 1 << 40} {
		d.Receive(bad, tokenA)
		d.want("receive", ring.Event{Token: tokenA, Op: ring.OpReceive, Err: unix.EBADF})
		d.Send(bad, tokenA, offHeap(t, 1))
		d.want("send", ring.Event{Token: tokenA, Op: ring.OpSend, Err: unix.EBADF})
		d.Accept(bad, tokenA)
		d.want("accept", ring.Event{Token: tokenA, Op: ring.OpAccept, Err: unix.EBADF})
		d.Cancel(bad, tokenA, ring.OpReceive)
		if d.Detach(bad) == nil {
			t.Errorf("detached descriptor %d", bad)
		}
	}
	d.Cancel(9999, tokenA, ring.OpSend)
	d.quiet("cancelled nothing")
}

// Cancel reaches only the operation that it names, and may come too late.
func TestCancelByToken(t *testing.T) {
	d := open(t, ring.Config{})
	fd, peer := pair(t)
	defer d.Close(fd)
	d.Receive(fd, tokenA)
	d.Cancel(fd, tokenB, ring.OpReceive)
	d.Cancel(fd, tokenA, ring.OpAccept)
	d.Cancel(fd, tokenA, ring.OpSend)
	d.quiet("cancelled others")
	write(t, peer, []byte("x"))
	d.wantData(tokenA, "x")
	d.Cancel(fd, tokenA, ring.OpReceive)
	d.cancelReceive(fd, tokenA) // twice, but one completion
	d.Cancel(fd, tokenA, ring.OpReceive)
	d.quiet("cancelled twice")
}

// A detached socket works with blocking mode off and without the driver.
func TestDetach(t *testing.T) {
	d := open(t, ring.Config{})
	fd, peer := pair(t)
	defer unix.Close(fd)
	must(t, "blocking", unix.SetNonblock(fd, false))
	d.Receive(fd, tokenA)
	d.cancelReceive(fd, tokenA)
	must(t, "Detach", d.Detach(fd))
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	must(t, "F_GETFL", err)
	if flags&unix.O_NONBLOCK == 0 {
		t.Error("detached in blocking mode")
	}
	enters := d.Stats().Enters
	write(t, peer, []byte("hello"))
	d.wait(20 * time.Millisecond)
	if n := d.Stats().Enters - enters; n > 2 {
		t.Errorf("%d system calls while waiting, want a look and a sleep at most", n)
	}
	p := make([]byte, 5)
	if n, err := unix.Read(fd, p); err != nil || string(p[:n]) != "hello" {
		t.Errorf("read %q, %v", p[:max(n, 0)], err)
	}
	d.Receive(fd, tokenB) // and back again
	write(t, peer, []byte("again"))
	d.wantData(tokenB, "again")
	d.cancelReceive(fd, tokenB)
	must(t, "Detach", d.Detach(fd))
}
