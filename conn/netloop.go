//go:build linux

package conn

import (
	"net"
	"os"
	"runtime"
)

// netHandler is the loop's side of netConns. Conn.State is the netConn.
type netHandler struct{}

func (netHandler) Opened(c *Conn) {
	nc := c.State.(*netConn)
	nc.local = localAddr(c, nc.remote)
	f := nc.opened
	nc.opened = nil
	f(nil)
	c.loop.StepBack()
}

// Data takes everything: when nobody reads, receiving pauses.
func (netHandler) Data(c *Conn, p []byte) int {
	nc := c.State.(*netConn)
	nc.mu.Lock()
	defer nc.mu.Unlock()
	if nc.closed {
		return len(p)
	}
	rest := p
	if nc.dst != nil && nc.in.n == 0 {
		n := copy(nc.dst, p)
		nc.dst, nc.got, rest = nil, n, p[n:]
	}
	nc.in.push(rest)
	if nc.in.n >= netLimit && !nc.paused {
		nc.paused = true
		c.PauseReceive()
	}
	nc.notify(&nc.read)
	return len(p)
}

func (netHandler) EOF(c *Conn) {
	nc := c.State.(*netConn)
	nc.mu.Lock()
	defer nc.mu.Unlock()
	nc.eof = true
	nc.notify(&nc.read)
}

func (netHandler) Drained(c *Conn) {
	nc := c.State.(*netConn)
	nc.mu.Lock()
	defer nc.mu.Unlock()
	nc.pump(c)
}

// TimedOut: after Close, the peer did not read the rest.
func (netHandler) TimedOut(c *Conn, _ Timer) { c.Abort(os.ErrDeadlineExceeded) }

func (netHandler) Closed(c *Conn, err error) {
	if err == nil {
		err = net.ErrClosed // by the engine's end, unless by Close
	}
	nc := c.State.(*netConn)
	nc.mu.Lock()
	defer nc.mu.Unlock()
	nc.fail(err)
}

// notify wakes who waits for h.
func (nc *netConn) notify(h *half) {
	if h.notify() {
		nc.loop.StepBack()
	}
}

// fail ends both directions; what was received can still be read.
func (nc *netConn) fail(err error) {
	if nc.err == nil {
		nc.err = err
	}
	nc.out.drop()
	nc.notify(&nc.read)
	nc.notify(&nc.write)
}

// work does what the goroutines want of the loop.
func (nc *netConn) work(*Loop) {
	nc.mu.Lock()
	defer nc.mu.Unlock()
	nc.posted = false
	c := nc.ref.Conn()
	if c == nil {
		return
	}
	if nc.paused && nc.in.n <= netLimit/2 {
		nc.paused = false
		c.ResumeReceive()
	}
	if nc.closed {
		c.SetTimeout(WriteTimer, netCloseTimeout)
	}
	nc.pump(c)
}

// pump moves what was written to the output, as far as there is room. Drained
// comes back to it.
func (nc *netConn) pump(c *Conn) {
	if c.Closing() {
		nc.fail(c.closeError())
		return
	}
	for nc.out.n > 0 {
		p := nc.out.first()
		n := c.Write(p)
		nc.out.skip(n)
		if n < len(p) {
			break
		}
	}
	if nc.out.n <= netLimit/2 {
		nc.notify(&nc.write)
	}
	switch {
	case nc.out.n > 0:
	case nc.closed:
		c.Close()
		c.SetTimeout(WriteTimer, netCloseTimeout)
	case nc.finished:
		c.CloseWrite()
	}
}

// localAddr returns the local address of a connection to remote.
func localAddr(c *Conn, remote net.Addr) net.Addr {
	if _, ok := remote.(*net.TCPAddr); ok {
		return net.TCPAddrFromAddrPort(c.LocalAddr())
	}
	return &net.UnixAddr{Net: "unix"}
}

// StepBack says that goroutines were woken in this turn. Where the loop's
// processor is the only one they run before it sleeps, and after what it has to
// send is sent: the runtime would notice late that it sleeps.
func (l *Loop) StepBack() { l.woken = true }

// stepBack is wait for a loop that does not sleep but lets others run.
func (l *Loop) stepBack() error {
	err := l.driver.Wait(0)
	runtime.Gosched()
	l.now = l.opts.Clock()
	return err
}
