//go:build linux

package fallback

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// One peer has sent so much that its socket never runs dry in this test; those
// who send little must not wait for it, whether they were there before or come
// in the middle of a turn.
func TestFastReceiverIsFair(t *testing.T) {
	d := open(t, ring.Config{BufferSize: 64})
	fast, fastPeer := pair(t)
	defer d.Close(fast)
	write(t, fastPeer, make([]byte, 256<<10)) // 4096 buffers
	d.Receive(fast, tokenA)

	const slow = 20
	peers := map[ring.Token]int{}
	for i := range slow {
		fd, peer := pair(t)
		defer d.Close(fd)
		token := ring.MakeToken(uint32(10+i), 1)
		peers[token] = peer
		d.Receive(fd, token)
		write(t, peer, []byte("x"))
	}
	taken := func(bound int) {
		t.Helper()
		fromFast := 0
		for left := slow; left > 0; {
			ev := d.next("data")
			if ev.Op != ring.OpReceive || ev.N == 0 {
				t.Fatalf("got %+v", ev)
			}
			d.Release(ev.Buffer)
			if ev.Token != tokenA {
				left--
			} else if fromFast++; fromFast > bound {
				t.Fatalf("%d events of the fast peer while %d slow ones wait", fromFast, left)
			}
		}
		if fromFast == 0 {
			t.Error("the fast peer got nothing")
		}
	}
	taken(2) // ready together: each in its turn
	for range 5 {
		for _, peer := range peers {
			write(t, peer, []byte("x"))
		}
		taken(3 * turnMin) // not looked at before the turn's end
	}
}

// A connection that sends again whenever a send has completed must not keep
// the others from being served.
func TestFastSenderIsFair(t *testing.T) {
	d := open(t, ring.Config{})
	fast, fastPeer := pair(t)
	slow, slowPeer := pair(t)
	defer d.Close(fast)
	defer d.Close(slow)
	p := offHeap(t, 16)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for buf := make([]byte, 64<<10); ; {
			if n, err := unix.Read(fastPeer, buf); err != nil && err != unix.EINTR || n == 0 {
				return
			}
		}
	}()
	defer func() {
		unix.Shutdown(fast, unix.SHUT_RDWR)
		<-drained
	}()
	d.Receive(slow, tokenB)
	d.Send(fast, tokenA, p)
	for range 10 {
		write(t, slowPeer, []byte("x"))
		for sends := 0; ; sends++ {
			ev := d.next("event")
			if ev.Token == tokenB {
				d.Release(ev.Buffer)
				break
			}
			if ev.Err != 0 || ev.Op != ring.OpSend {
				t.Fatalf("got %+v", ev)
			}
			if sends > 4*turnMin {
				t.Fatalf("%d sends of one connection while another one waits", sends)
			}
			d.Send(fast, tokenA, p)
		}
	}
}
