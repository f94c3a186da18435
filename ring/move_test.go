//go:build linux

package ring_test

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// TestMove: the owner is stuck in a read(2), or burns, with a receive in
// flight. Another thread takes the ring over, is told of the cancellation, and
// receives what comes then.
func TestMove(t *testing.T) {
	for _, how := range []string{"blocked", "busy"} {
		t.Run(how, func(t *testing.T) {
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			must(t, err)
			var stuck [2]int
			must(t, unix.Pipe2(stuck[:], unix.O_CLOEXEC))
			token := ring.MakeToken(7, 1)
			given, freed := make(chan *ring.Uring), make(chan struct{})
			go func() {
				defer close(freed)
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				u, err := ring.Open(ring.Config{Movable: true})
				if err != nil {
					given <- nil
					return
				}
				u.Receive(pair[0], token)
				_ = u.Wait(0)
				given <- u
				var b [1]byte
				if how == "busy" {
					_ = unix.SetNonblock(stuck[0], true)
				}
				for {
					if n, _ := unix.Read(stuck[0], b[:]); n == 1 {
						return
					}
				}
			}()
			u := <-given
			if u == nil {
				t.Skip("io_uring cannot be had here")
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			u.Move()
			next := func() (ev ring.Event) {
				t.Helper()
				for deadline := time.Now().Add(10 * time.Second); !u.Next(&ev); {
					if time.Now().After(deadline) {
						t.Fatal("no completion")
					}
					must(t, u.Wait(time.Second))
				}
				return ev
			}
			if ev := next(); ev.Err != unix.ECANCELED || ev.More || ev.Token != token {
				t.Fatalf("got %+v, want the receive cancelled", ev)
			}
			u.Receive(pair[0], token)
			must(t, u.Wait(0))
			_, err = unix.Write(pair[1], []byte("news"))
			must(t, err)
			ev := next()
			if string(ev.Data) != "news" {
				t.Fatalf("got %+v", ev)
			}
			u.Release(ev.Buffer)
			must(t, u.Destroy())
			_, err = unix.Write(stuck[1], []byte{1})
			must(t, err)
			<-freed
			for _, fd := range append(pair[:], stuck[:]...) {
				unix.Close(fd)
			}
		})
	}
}
