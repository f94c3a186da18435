//go:build linux

package conn

import (
	"testing"
	"time"
)

// TestTimeouts: each timeout passes when nothing else happens, not before its
// time, and a connection that does what is expected has none.
func TestTimeouts(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		const d = 30 * time.Millisecond
		type expiry struct {
			which Timer
			took  time.Duration
		}
		passed := make(chan expiry, 1)
		var since time.Time
		h := &script{
			data: func(c *Conn, p []byte) int {
				since = time.Now()
				switch p[0] {
				case 'r':
					c.SetTimeout(ReadTimer, d)
				case 'a': // armed again: the first does not count
					c.SetTimeout(ReadTimer, d/10)
					c.SetTimeout(ReadTimer, d)
				case 'w':
					c.PauseReceive()
					c.Write(make([]byte, 16<<20)) // nobody reads it
					c.SetTimeout(WriteTimer, d)
				case 'n':
					c.SetTimeout(ReadTimer, d)
					c.SetTimeout(ReadTimer, 0)
					c.Write(p)
					c.SetTimeout(WriteTimer, d) // disarmed when p is sent
				}
				return len(p)
			},
			timedOut: func(c *Conn, which Timer) {
				passed <- expiry{which, time.Since(since)}
				c.Abort(nil)
			},
		}
		e := serve(t, kind, h, Options{HighWater: 16 << 20})
		for _, test := range []struct {
			send  string
			which Timer
		}{{"r", ReadTimer}, {"a", ReadTimer}, {"w", WriteTimer}} {
			nc := e.dial()
			write(t, nc, []byte(test.send))
			got := wait(t, "the timeout of "+test.send, passed)
			if got.which != test.which || got.took < d-2*time.Millisecond {
				t.Errorf("%s: timer %v passed after %v, want %v after %v", test.send, got.which, got.took, test.which, d)
			}
			nc.Close()
		}
		nc := e.dial()
		write(t, nc, []byte("n"))
		wantRead(t, nc, []byte("n"))
		select {
		case got := <-passed:
			t.Errorf("timer %v passed although it was disarmed", got.which)
		case <-time.After(2 * d):
		}
	})
}

// TestIdleLoopSleeps: without work a loop makes no system calls, whatever
// timeouts are armed for later.
func TestIdleLoopSleeps(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		opened := make(chan struct{}, 1)
		e := serve(t, kind, &script{opened: func(c *Conn) {
			c.SetTimeout(ReadTimer, time.Hour)
			opened <- struct{}{}
		}}, Options{})
		for range 20 {
			e.dial()
			wait(t, "Opened", opened)
		}
		enters := func() (n uint64) {
			e.do(func(l *Loop) { n = l.driver.Stats().Enters })
			return n
		}
		before := enters()
		time.Sleep(100 * time.Millisecond) // the idleness that is measured
		if n := enters() - before; n > 10 {
			t.Errorf("an idle loop made %d system calls in 100 ms", n)
		}
	})
}
