//go:build linux

package conn

import (
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// maxLingered is how many bytes of input a closed connection throws away before it
// gives up on its peer. They are counted in units, of which each piece is one at
// least.
const (
	maxLingered  = 1 << 20
	lingeredUnit = 64
)

// Close sends what is queued and then closes: it shuts our side down, waits
// for the peer to do the same (at most Options.Linger), and frees the slot.
// Handler.Closed follows, never within Close.
func (c *Conn) Close() {
	if c.state == stateConnecting {
		c.finish(ErrClosed)
	}
	if c.state != stateOpen {
		return
	}
	c.state = stateClosing
	c.dropTransfer()
	c.dropInput()
	c.failWriter(ErrClosed)
	// Input goes on being read, to be thrown away: unread input would turn
	// the close into a reset.
	c.timer[ReadTimer].remove()
	c.paused = 0
	c.arm()
	c.loop.markDirty(c)
}

// CloseWrite sends what is queued and then shuts our side down: the peer sees
// EOF. Receiving goes on. What is written later is dropped.
func (c *Conn) CloseWrite() {
	if c.state == stateOpen && !c.fin {
		c.fin = true
		c.loop.markDirty(c)
	}
}

// Abort closes at once: what is queued is dropped, and the peer may see a
// reset. Handler.Closed gets err; it follows, never within Abort.
func (c *Conn) Abort(err error) { c.finish(err) }

// fail ends a connection for an error of the network.
func (c *Conn) fail(err error) {
	if c.state != stateJoining {
		c.finish(err)
	}
}

// linger follows a Close once the output is sent.
func (c *Conn) linger() {
	if c.eof {
		c.finish(nil)
		return
	}
	if c.loop.shutdown(int(c.fd), unix.SHUT_WR) != nil {
		c.finish(nil) // the peer is gone already
		return
	}
	c.state = stateLingering
	c.setTimeout(ReadTimer, c.loop.opts.Linger)
}

// finish shuts both sides down, which makes the kernel complete whatever is
// in flight. close(2) alone would not: an operation holds its file.
func (c *Conn) finish(err error) {
	if c.state == stateJoining || c.state == stateFree {
		return
	}
	connecting, unsent := c.state == stateConnecting, c.queued > 0 || c.transfer() != nil
	c.state = stateJoining
	c.err = err
	c.dropTransfer()
	c.dropInput()
	c.failWriter(ErrClosed)
	for t := range c.timer {
		c.timer[t].remove()
	}
	if err != nil && unsent {
		// What is dropped here the kernel shall drop too: else it would keep
		// megabytes for a peer that does not read, and end a truncated answer
		// as if it were whole.
		_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	if c.sending && connecting {
		c.loop.driver.Cancel(int(c.fd), c.token(), ring.OpConnect)
	} else if c.sending || c.receiving {
		_ = c.loop.shutdown(int(c.fd), unix.SHUT_RDWR) // ENOTCONN: the peer was faster
	}
	if c.receiving && !c.cancelling {
		c.cancelling = true
		c.loop.driver.Cancel(int(c.fd), c.token(), ring.OpReceive)
	}
	if c.sending && !connecting && !c.fileInFlight() {
		c.loop.driver.Cancel(int(c.fd), c.token(), ring.OpSend)
	}
	c.join()
}

// join has the slot freed at the end of the turn, if the last operation in
// flight has completed: a handler may close its connection at any point and
// go on using it until it returns.
func (c *Conn) join() {
	if c.state == stateJoining && !c.sending && !c.receiving {
		c.loop.joined = append(c.loop.joined, c)
	}
}

// reap frees the slots of the connections that are done.
func (l *Loop) reap() {
	for i := 0; i < len(l.joined); i++ { // Closed may abort others
		if c := l.joined[i]; c.state == stateJoining {
			if c.fd >= 0 {
				l.driver.Close(int(c.fd))
			}
			l.bury(c)
		}
	}
	clear(l.joined)
	l.joined = l.joined[:0]
}

// bury tells whom it concerns of c's end, and frees its slot.
func (l *Loop) bury(c *Conn) {
	l.dropOutput(c)
	if f := c.detach; f != nil {
		c.detach = nil
		f(nil, nil, c.closeError())
	}
	if c.own != 0 {
		l.buryOutbound(c)
	} else {
		l.handler.Closed(c, c.err)
	}
	l.free(c)
}

func (c *Conn) closeError() error {
	if c.err != nil {
		return c.err
	}
	return ErrClosed
}

func (l *Loop) dropOutput(c *Conn) {
	for b := c.outHead; b != nil; {
		next := b.next
		l.freeBuf(b)
		b = next
	}
	c.outHead, c.outTail, c.queued = nil, nil, 0
}

func (l *Loop) free(c *Conn) {
	own := c.own
	l.slots.give(c)
	if own != 0 {
		l.outbounds.remove(own)
	} else {
		l.gone()
	}
	l.engine.acceptor.room()
}

// Detach takes c off the loop and hands it to f as an ordinary connection of
// the Go runtime, with the input that nobody has consumed. f is called once,
// on the loop's goroutine, when the output has been sent and the last
// operation has completed; the handler hears no more of c. If c fails before
// that, f gets the error and Handler.Closed follows as usual. f owns nc; rest
// is its to keep.
func (c *Conn) Detach(f func(nc net.Conn, rest []byte, err error)) {
	if c.state != stateOpen || c.detach != nil {
		f(nil, nil, ErrClosed)
		return
	}
	c.detach = f
	c.timer[ReadTimer].remove()
	c.pause(pausedByDetach)
	c.loop.markDirty(c)
}

// tryDetach completes a Detach once nothing is in flight.
func (c *Conn) tryDetach() {
	if c.detach == nil || c.receiving || c.starving || c.sending || c.outHead != nil || c.transfer() != nil || c.state != stateOpen {
		return
	}
	l := c.loop
	nc, err := c.detachFD()
	if err != nil {
		c.finish(err)
		return
	}
	f := c.detach
	c.detach = nil
	c.failWriter(ErrClosed)
	rest := append([]byte(nil), c.in...)
	c.dropInput()
	for t := range c.timer {
		c.timer[t].remove()
	}
	l.free(c)
	f(nc, rest, nil)
}

func (c *Conn) detachFD() (net.Conn, error) {
	nc := c.NetConn()
	if err := c.loop.driver.Detach(int(c.fd)); err != nil {
		return nil, err
	}
	if nc != nil {
		c.fd = -1
		return nc, nil
	}
	f := os.NewFile(uintptr(c.fd), "connection")
	c.fd = -1                  // f's, which would close it sooner or later
	nc, err := net.FileConn(f) // has a descriptor of its own
	_ = f.Close()
	return nc, err
}
