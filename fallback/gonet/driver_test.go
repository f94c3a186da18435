package gonet

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/ringcore/ringcore/ring"
)

const patience = 20 * time.Second

func open(t *testing.T) *Driver {
	t.Helper()
	d, err := Open(ring.Config{BufferSize: 64})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Destroy(); err != nil {
			t.Errorf("Destroy: %v", err)
		}
	})
	return d
}

// next waits for the next completion.
func next(t *testing.T, d *Driver) ring.Event {
	t.Helper()
	var ev ring.Event
	for deadline := time.Now().Add(patience); !d.Next(&ev); {
		if time.Now().After(deadline) {
			t.Fatal("no completion")
		}
		if err := d.Wait(time.Second); err != nil {
			t.Fatal(err)
		}
	}
	return ev
}

// pair returns a connection's number and its peer.
func pair(t *testing.T, d *Driver) (fd int, peer net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	_ = peer.SetDeadline(time.Now().Add(patience))
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return d.Adopt(nc), peer
}

func TestReceiveSendAndEOF(t *testing.T) {
	d := open(t)
	fd, peer := pair(t, d)
	tok := ring.MakeToken(7, 9)
	d.Receive(fd, tok)
	if _, err := io.WriteString(peer, "hello"); err != nil {
		t.Fatal(err)
	}
	ev := next(t, d)
	if ev.Op != ring.OpReceive || ev.Token != tok || ev.More || string(ev.Data) != "hello" || ev.Buffer == ring.NoBuffer {
		t.Fatalf("got %+v", ev)
	}
	d.Send(fd, tok, ev.Data)
	if ev := next(t, d); ev.Op != ring.OpSend || ev.N != 5 || ev.Err != 0 {
		t.Fatalf("got %+v", ev)
	}
	d.Release(ev.Buffer)
	var b [5]byte
	if _, err := io.ReadFull(peer, b[:]); err != nil || string(b[:]) != "hello" {
		t.Fatalf("got %q, %v", b, err)
	}
	d.Receive(fd, tok)
	peer.Close()
	if ev := next(t, d); ev.N != 0 || ev.Err != 0 || ev.More {
		t.Fatalf("at the end: %+v", ev)
	}
	if s := d.Stats(); s.Buffers != 1 || s.BuffersInUse != 0 {
		t.Errorf("%d buffers, %d in use", s.Buffers, s.BuffersInUse)
	}
	d.Close(fd)
}

// A receive that was cancelled ends, and the next one works: its deadline does
// not outlive it.
func TestCancelReceive(t *testing.T) {
	d := open(t)
	fd, peer := pair(t, d)
	tok := ring.MakeToken(1, 1)
	for range 100 {
		d.Receive(fd, tok)
		d.Cancel(fd, tok, ring.OpReceive)
		if ev := next(t, d); ev.Err != syscall.ECANCELED || ev.More {
			t.Fatalf("got %+v", ev)
		}
		d.Cancel(fd, tok, ring.OpReceive) // of what has ended
	}
	d.Receive(fd, tok)
	if _, err := io.WriteString(peer, "x"); err != nil {
		t.Fatal(err)
	}
	if ev := next(t, d); string(ev.Data) != "x" {
		t.Fatalf("got %+v", ev)
	}
}

// Shutdown ends a send that its peer does not take.
func TestShutdownEndsASend(t *testing.T) {
	d := open(t)
	a, b := net.Pipe() // a Write waits for the Read
	defer b.Close()
	fd, tok := d.Adopt(a), ring.MakeToken(2, 2)
	d.Send(fd, tok, []byte("nobody reads this"))
	if err := d.Shutdown(fd, 2); err != nil {
		t.Fatal(err)
	}
	if ev := next(t, d); ev.Op != ring.OpSend || ev.Err == 0 {
		t.Fatalf("got %+v", ev)
	}
}

func TestAcceptAndCancel(t *testing.T) {
	d := open(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fd, tok := d.AdoptListener(ln), ring.MakeToken(3, 3)
	d.Accept(fd, tok)
	for range 3 {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ev := next(t, d)
		if ev.Op != ring.OpAccept || !ev.More || d.NetConn(ev.N) == nil {
			t.Fatalf("got %+v", ev)
		}
	}
	d.Cancel(fd, tok, ring.OpAccept)
	if ev := next(t, d); ev.Err != syscall.ECANCELED || ev.More {
		t.Fatalf("got %+v", ev)
	}
}

func TestWakeAndTimeout(t *testing.T) {
	d := open(t)
	go d.Wake()
	if err := d.Wait(-1); err != nil { // hangs without the wake
		t.Fatal(err)
	}
	start := time.Now()
	if err := d.Wait(20 * time.Millisecond); err != nil || time.Since(start) < 19*time.Millisecond {
		t.Fatalf("returned after %v, %v", time.Since(start), err)
	}
}

// Destroy ends what is in flight and closes every connection.
func TestDestroyInTheMiddle(t *testing.T) {
	d, err := Open(ring.Config{})
	if err != nil {
		t.Fatal(err)
	}
	fd, peer := pair(t, d)
	d.Receive(fd, ring.MakeToken(4, 4))
	if err := d.Destroy(); err != nil {
		t.Fatal(err)
	}
	if n, err := peer.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("the peer reads %d, %v", n, err)
	}
	d.Wake()
	a, _ := net.Pipe()
	if fd := d.Adopt(a); fd >= 0 {
		t.Error("a connection was adopted after the end")
	}
}
