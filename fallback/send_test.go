//go:build linux

package fallback

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// A send that the socket takes whole has its completion at once, and costs one
// system call.
func TestSendAtOnce(t *testing.T) {
	d := open(t, ring.Config{})
	fd, peer := pair(t)
	defer d.Close(fd)
	enters := d.Stats().Enters
	d.Send(fd, tokenA, offHeap(t, 100))
	var ev ring.Event
	if !d.Next(&ev) || ev.Token != tokenA || ev.Op != ring.OpSend || ev.N != 100 || ev.Err != 0 || ev.More {
		t.Fatalf("got %+v", ev)
	}
	if n := d.Stats().Enters - enters; n != 1 {
		t.Errorf("%d system calls", n)
	}
	must(t, "peer", readFull(peer, make([]byte, 100)))
	d.Send(fd, tokenA, nil)
	d.want("send of nothing", ring.Event{Token: tokenA, Op: ring.OpSend})
}

// 8 MiB to a reader who takes 64 KiB only when the driver has come to rest:
// one completion, for all of it.
func TestSendToSlowReader(t *testing.T) {
	d := open(t, ring.Config{})
	fd, peer := pair(t)
	defer d.Close(fd)
	p := offHeap(t, 8<<20)
	steps, results := make(chan struct{}), make(chan error)
	got := make([]byte, len(p))
	go func() {
		for rest := got; len(rest) > 0; {
			<-steps
			n := min(len(rest), 64<<10)
			err := readFull(peer, rest[:n])
			rest = rest[n:]
			results <- err
		}
	}()
	var ev ring.Event
	d.Send(fd, tokenA, p)
	if d.Next(&ev) {
		t.Fatalf("8 MiB were taken at once: %+v", ev)
	}
	done := 0
	for range len(p) / (64 << 10) {
		steps <- struct{}{}
		must(t, "reader", <-results)
		for d.wait(0); d.Next(&ev); {
			done++
		}
	}
	if done == 0 {
		ev = d.next("send")
		done++
	}
	if done != 1 || ev.N != len(p) || ev.Err != 0 || ev.Op != ring.OpSend {
		t.Errorf("%d completions, the last one %+v", done, ev)
	}
	if !bytes.Equal(got, p) {
		t.Error("the bytes received are not those sent")
	}
	d.quiet("sent")
}

// A blocked send that is cancelled tells how much was taken; the next one goes
// on from there.
func TestCancelBlockedSend(t *testing.T) {
	d := open(t, ring.Config{})
	fd, peer := pair(t)
	defer d.Close(fd)
	p := offHeap(t, 8<<20)
	// The kernel may make a little more room by itself, so the first send
	// that is blocked is not always one of which nothing was taken.
	taken := 0
	for {
		d.Send(fd, tokenA, p[taken:])
		d.quiet("blocked")
		d.Cancel(fd, tokenA, ring.OpSend)
		ev := d.next("cancelled")
		taken += ev.N
		if ev.More || taken == len(p) || (ev.N > 0) != (ev.Err == 0) {
			t.Fatalf("cancelled with %d bytes taken so far: %+v", taken, ev)
		}
		if ev.Err != 0 {
			if ev.Err != unix.ECANCELED || taken == 0 {
				t.Fatalf("cancelled with %d bytes taken so far: %+v", taken, ev)
			}
			break
		}
	}

	got := make([]byte, len(p))
	read := make(chan error, 1)
	go func() { read <- readFull(peer, got) }()
	d.Send(fd, tokenB, p[taken:])
	d.want("the rest", ring.Event{Token: tokenB, Op: ring.OpSend, N: len(p) - taken})
	must(t, "reader", <-read)
	if !bytes.Equal(got, p) {
		t.Error("the bytes received are not those sent")
	}
}

// A peer that goes away ends the send that waits for it.
func TestSendToReset(t *testing.T) {
	d := open(t, ring.Config{})
	fd, peer := pair(t)
	defer d.Close(fd)
	p := offHeap(t, 8<<20)
	d.Send(fd, tokenA, p)
	d.quiet("blocked")
	reset(t, peer)
	ev := d.next("reset")
	if ev.N <= 0 || ev.N >= len(p) || ev.Err != 0 {
		t.Fatalf("want what was taken before the reset, got %+v", ev)
	}
	d.Send(fd, tokenA, p[ev.N:])
	d.want("after the reset", ring.Event{Token: tokenA, Op: ring.OpSend, Err: unix.EPIPE})
}

// Sending and receiving on one socket do not get in each other's way.
func TestBothDirections(t *testing.T) {
	d := open(t, ring.Config{})
	fd, peer := pair(t)
	defer d.Close(fd)
	d.Receive(fd, tokenA)
	p := offHeap(t, 8<<20)
	d.Send(fd, tokenB, p) // blocks
	for range 10 {
		write(t, peer, []byte("meanwhile"))
		d.wantData(tokenA, "meanwhile")
	}
	got := make([]byte, len(p))
	read := make(chan error, 1)
	go func() { read <- readFull(peer, got) }()
	d.want("send", ring.Event{Token: tokenB, Op: ring.OpSend, N: len(p)})
	must(t, "reader", <-read)
	if !bytes.Equal(got, p) {
		t.Error("the bytes received are not those sent")
	}
	d.cancelReceive(fd, tokenA)
}
