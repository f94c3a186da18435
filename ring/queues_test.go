//go:build linux

package ring

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestCQOverflow: completions that the CQ has no room for are kept by the
// kernel and come later, each once.
func TestCQOverflow(t *testing.T) {
	for _, tier := range []Tier{Tier519, Tier60, Tier61} {
		t.Run(tier.String(), func(t *testing.T) {
			r := testRing(t, tier, 8, 16, opNop)
			const total = 500
			for i := range total {
				e := r.sq.take()
				if e == nil {
					if n, errno := r.submit(r.sq.publish()); errno != 0 || n != 8 {
						t.Fatalf("operation %d: submitted %d: %v", i, n, errno)
					}
					e = r.sq.take()
				}
				e.prepareNop(uint64(i))
			}
			seen := make([]int, total)
			taken, most := 0, 0
			var c cqe
			for taken < total {
				_, errno := r.submit(r.sq.publish())
				if errno != 0 && errno != unix.EBUSY {
					t.Fatal(errno)
				}
				n := 0
				for ; r.cq.next != r.cq.end || !r.cq.empty(); n++ {
					r.cq.take(&c)
					seen[c.userData]++
				}
				if n == 0 {
					t.Fatalf("%d of %d completions, and no more", taken, total)
				}
				taken += n
				most = max(most, n)
			}
			for i, n := range seen {
				if n != 1 {
					t.Errorf("operation %d completed %d times", i, n)
				}
			}
			if most < 16 {
				t.Errorf("at most %d completions at once: the CQ was never full", most)
			}
		})
	}
}

// TestBacklog: operations that the SQ had no room for are submitted later, in
// order. The kernel takes what it is given as long as it has memory, so the
// backlog is begun by hand.
func TestBacklog(t *testing.T) {
	u := testDriver(t, Tier61, Config{Entries: 4, CQEntries: 8, Buffers: 64})
	if err := u.Wait(0); err != nil {
		t.Fatal(err)
	}
	const connections = 50
	u.inFlight++
	u.backlog = append(u.backlog, sqe{})
	u.backlog[0].prepareCancel(userData(1<<40, OpSend), userDataCancel)
	for i := range connections {
		fd, peer := tcpPair(t)
		if _, err := unix.Write(peer, []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		// Out of order, the cancel would miss its receive.
		u.Receive(fd, MakeToken(uint32(i), 1))
		u.Receive(fd, MakeToken(uint32(i), 2))
		u.Cancel(fd, MakeToken(uint32(i), 2), OpReceive)
	}
	if got := len(u.backlog); got != 1+3*connections {
		t.Fatalf("%d operations in the backlog, want %d", got, 1+3*connections)
	}
	received, cancelled := 0, 0
	deadline := time.Now().Add(10 * time.Second)
	var ev Event
	for received < connections || cancelled < connections {
		if !u.Next(&ev) {
			if time.Now().After(deadline) {
				t.Fatalf("%d received, %d cancelled of %d", received, cancelled, connections)
			}
			if err := u.Wait(time.Second); err != nil {
				t.Fatal(err)
			}
			continue
		}
		switch {
		case ev.Err == unix.ECANCELED && ev.Token.Generation() == 2:
			cancelled++
		case ev.Err == 0 && ev.N == 1 && ev.Token.Generation() == 1 && uint32(ev.Data[0]) == ev.Token.Slot():
			received++
			u.Release(ev.Buffer)
		default:
			t.Fatalf("unexpected event %+v", ev)
		}
	}
	if len(u.backlog) != 0 {
		t.Errorf("%d operations left in the backlog", len(u.backlog))
	}
}

// TestSQFull: a full SQ is submitted in the middle of commands.
func TestSQFull(t *testing.T) {
	u := testDriver(t, Tier61, Config{Entries: 4, CQEntries: 8})
	before := u.Stats()
	for i := range 103 {
		u.Cancel(-1, MakeToken(uint32(i), 0), OpSend)
	}
	after := u.Stats()
	if n := after.Submitted - before.Submitted; n < 100 {
		t.Errorf("%d of 103 operations were submitted before Wait, want all but those in the SQ", n)
	}
	if n := after.Enters - before.Enters; n > 103/4+1 {
		t.Errorf("%d system calls for 103 operations through an SQ of 4", n)
	}
	for range 1000 {
		if err := u.Wait(0); err != nil {
			t.Fatal(err)
		}
		var ev Event
		if u.Next(&ev) {
			t.Fatalf("unexpected event %+v", ev)
		}
		if u.inFlight == 1 { // the waker's poll
			return
		}
	}
	t.Errorf("%d operations never completed", u.inFlight-1)
}

// TestRestrictions: the ring refuses what we do not use.
func TestRestrictions(t *testing.T) {
	u := testDriver(t, Tier519, Config{})
	if !u.Features().Restricted {
		t.Fatal("the ring is not restricted")
	}
	refused := func(what string, prepare func(*sqe)) {
		t.Helper()
		var c cqe
		u.inFlight++
		prepare(u.ring.sq.take())
		if _, errno := u.submit(); errno != 0 {
			t.Fatal(errno)
		}
		for u.ring.cq.empty(); u.ring.cq.take(&c); {
			if c.flags&cqeMore == 0 {
				u.inFlight--
			}
			if c.userData == 1<<50 {
				if c.res != -int32(unix.EACCES) {
					t.Errorf("%s: result %d, want EACCES", what, c.res)
				}
				return
			}
		}
		t.Errorf("%s: no completion", what)
	}
	refused("nop", func(e *sqe) { e.prepareNop(1 << 50) })
	for op := range uint8(46) { // what Linux 5.19 knows
		if !slices.Contains(ops, op) {
			refused(fmt.Sprintf("operation %d", op), func(e *sqe) { *e = sqe{opcode: op, fd: -1, userData: 1 << 50} })
		}
	}
	refused("async flag", func(e *sqe) {
		e.prepareCancel(1, 1<<50)
		e.flags = 1 << 4 // IOSQE_ASYNC
	})
	if _, errno := u.ring.register(registerPbufRing, nil, 1); errno != unix.EACCES {
		t.Errorf("registering buffers on a restricted ring: %v, want EACCES", errno)
	}
}

// TestTaskrun: no ring goes without cooperative task running.
func TestTaskrun(t *testing.T) {
	for _, tier := range []Tier{Tier519, Tier60, Tier61} {
		t.Run(tier.String(), func(t *testing.T) {
			r := testRing(t, tier, 8, 32, opNop)
			if r.flags&(setupCoopTaskrun|setupDeferTaskrun) == 0 {
				t.Errorf("set up with flags %#x", r.flags)
			}
			if len(r.cq.cqes) != 32 || len(r.sq.sqes) != 8 {
				t.Errorf("%d SQEs and %d CQEs, want 8 and 32", len(r.sq.sqes), len(r.cq.cqes))
			}
		})
	}
}

// TestReopen: nothing of a ring stays with its thread, which has place for 16
// registered rings.
func TestReopen(t *testing.T) {
	needTier(t, Tier61)
	probed, err := Probe(Tier61)
	must(t, err)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range 40 {
		u, err := Open(Config{Entries: 8})
		must(t, err)
		if got := u.Features(); got.RegisteredRing != probed.RegisteredRing {
			t.Errorf("ring %d: %v; when probed: %v", i, got, probed)
		}
		must(t, u.Destroy())
	}
}

// TestEmptyBuffer: a receive that ends with a buffer and nothing in it does not
// cost the buffer. Some kernels do that at the end of a connection.
func TestEmptyBuffer(t *testing.T) {
	u := testDriver(t, Tier61, Config{Buffers: 1, BufferSize: 64})
	fd, peer := tcpPair(t)
	token := MakeToken(1, 1)
	u.buffers.publish()
	// The kernel takes the only buffer for one byte, which is made nothing.
	if _, err := unix.Write(peer, []byte("x")); err != nil {
		t.Fatal(err)
	}
	u.next().prepareReceive(fd, 64, userData(token, OpReceive))
	must(t, u.Wait(time.Second))
	var c cqe
	if !u.ring.cq.take(&c) || c.res != 1 || c.flags&cqeBuffer == 0 {
		t.Fatalf("completion %+v", c)
	}
	u.inFlight--
	c.res = 0
	ev := Event{Op: OpReceive}
	u.received(&c, &ev)
	if ev.Data != nil || ev.Buffer != NoBuffer || u.Stats().BuffersInUse != 0 {
		t.Fatalf("an empty receive is %+v, %+v", ev, u.Stats())
	}
	if _, err := unix.Write(peer, []byte("y")); err != nil {
		t.Fatal(err)
	}
	u.Receive(fd, token)
	for deadline := time.Now().Add(10 * time.Second); !u.Next(&ev); {
		if time.Now().After(deadline) {
			t.Fatal("nothing received")
		}
		must(t, u.Wait(time.Second))
	}
	if ev.Err != 0 || string(ev.Data) != "y" {
		t.Fatalf("received %+v", ev)
	}
	u.Release(ev.Buffer)
}
