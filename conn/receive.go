//go:build linux

package conn

import (
	"fmt"
	"math"
	"syscall"

	"github.com/ringcore/ringcore/ring"
)

// PauseReceive stops receiving: the peer will be slowed down once the kernel's
// buffer is full. What has arrived already still comes to Handler.Data. While
// paused, the peer's EOF or reset is not noticed.
func (c *Conn) PauseReceive() { c.pause(pausedByUser) }

// ResumeReceive ends PauseReceive.
func (c *Conn) ResumeReceive() { c.unpause(pausedByUser) }

// Redeliver offers the unconsumed input to Handler.Data again, for a handler
// that had to leave it until now. Called within Data it takes effect when Data
// returns.
func (c *Conn) Redeliver() {
	if c.data != noData {
		c.data = again
		return
	}
	c.deliver(nil)
}

// Unconsumed returns how many received bytes wait to be consumed.
func (c *Conn) Unconsumed() int { return len(c.in) }

// HoldInput has what Data does not consume stay in its receive buffer, uncopied, for
// a handler that goes on with it at the end of the turn, by Input and Consume. To be
// called within Handler.Data. There are not many receive buffers: ReleaseInput is to
// follow soon. Where more is received meanwhile, or the input has been kept from
// before, it is copied as ever.
func (c *Conn) HoldInput() {
	if c.data == inData {
		c.data = holding
	}
}

// ReleaseInput ends HoldInput: what has not been consumed is copied.
func (c *Conn) ReleaseInput() {
	if c.held == 0 {
		return
	}
	b := append(c.loop.inputs.get(len(c.in)), c.in...)
	c.freeInput()
	c.in = b
}

// Input returns the unconsumed bytes, oldest first. They are valid until Consume
// or until the handler returns. Not within Handler.Data.
func (c *Conn) Input() []byte { return c.in }

// Consume takes the first n of the bytes of Input, 0 to all of them, for a handler
// that has been given them by Data and has not consumed them there. Not within
// Handler.Data.
func (c *Conn) Consume(n int) {
	if n > 0 && c.in != nil {
		c.consume(n)
		c.limitInput()
	}
}

func (c *Conn) pause(reason uint8) {
	if c.state != stateOpen {
		return // a closing connection has to notice its peer's EOF
	}
	c.paused |= reason
	if c.receiving && !c.cancelling {
		c.cancelling = true
		c.loop.driver.Cancel(int(c.fd), c.token(), ring.OpReceive)
	}
}

func (c *Conn) unpause(reason uint8) {
	if c.paused &^= reason; c.paused == 0 {
		c.arm()
	}
}

// arm starts a receive if one is wanted and none is armed.
func (c *Conn) arm() {
	if c.receiving || c.paused != 0 || c.eof || c.starving || c.state == stateFree || c.state == stateJoining {
		return
	}
	c.receiving, c.cancelling = true, false
	c.loop.driver.Receive(int(c.fd), c.token())
}

// onReceive handles a completion of a receive.
func (l *Loop) onReceive(c *Conn, ev *ring.Event) {
	if !ev.More {
		c.receiving, c.cancelling = false, false
	}
	switch {
	case ev.Err == 0 && ev.N > 0:
		c.received(ev.Data)
	case ev.Err == 0:
		c.eof = true
		c.tellEOF()
	case ev.Err == syscall.ENOBUFS, ev.Err == syscall.EAGAIN:
		l.starve(c) // flow control, not an error
	case ev.Err == syscall.EINTR, ev.Err == syscall.ECANCELED:
	default:
		c.fail(fmt.Errorf("receive: %w", ev.Err))
	}
	if !ev.More {
		c.arm()
		c.join()
		c.tryDetach()
	}
}

func (c *Conn) received(p []byte) {
	switch c.state {
	case stateOpen:
		c.deliver(p)
	case stateLingering, stateClosing:
		// Nobody reads this any more; it is taken from the kernel so that
		// closing does not become a reset, but not without bound.
		if c.lingered += uint16((len(p) + lingeredUnit - 1) / lingeredUnit); c.lingered > maxLingered/lingeredUnit {
			c.Abort(ErrLinger)
		}
	}
}

// deliver offers the unconsumed input, and p after it, to the handler.
func (c *Conn) deliver(p []byte) {
	l := c.loop
	for c.state == stateOpen && c.detach == nil {
		buf := p
		if c.in != nil {
			if len(p) > 0 {
				c.appendInput(p)
				p = nil
			}
			buf = c.in
		}
		if len(buf) == 0 {
			break
		}
		c.data = inData
		n := c.handler().Data(c, buf)
		said := c.data
		c.data = noData
		if uint(n) > uint(len(buf)) {
			panic(fmt.Sprintf("conn: Handler.Data consumed %d of %d bytes", n, len(buf)))
		}
		if c.state != stateOpen {
			break // closed within Data: whatever n says, nobody wants the rest
		}
		if c.in != nil {
			c.consume(n)
		} else if p = p[n:]; len(p) > 0 {
			if said == holding && l.event.Buffer != ring.NoBuffer {
				c.in, c.held, l.event.Buffer = p, heldBuffer(l.event.Buffer), ring.NoBuffer
				l.holding++
			} else {
				c.appendInput(p)
			}
		}
		p = nil
		if said != again {
			break
		}
	}
	if len(p) > 0 && c.detach != nil {
		c.appendInput(p) // it goes with the connection
	}
	if c.state != stateOpen {
		c.dropInput()
		return
	}
	c.limitInput()
	c.tellEOF()
}

// limitInput stops receiving while ReadLimit bytes are unconsumed.
func (c *Conn) limitInput() {
	if len(c.in) >= c.loop.opts.ReadLimit {
		c.pause(pausedByInput)
	} else if c.paused&pausedByInput != 0 {
		c.unpause(pausedByInput)
	}
}

// tellEOF tells the handler of the peer's EOF, once.
func (c *Conn) tellEOF() {
	if !c.eof || c.eofTold {
		return
	}
	switch c.state {
	case stateOpen:
		if c.detach == nil {
			c.eofTold = true
			c.handler().EOF(c)
		}
	case stateLingering:
		c.finish(nil)
	}
}

func (c *Conn) appendInput(p []byte) {
	need := len(c.in) + len(p)
	if need > cap(c.in) {
		b := c.loop.inputs.get(need)
		b = append(b, c.in...)
		c.freeInput()
		c.in = b
	}
	c.in = append(c.in, p...)
}

func (c *Conn) consume(n int) {
	if n == len(c.in) {
		c.dropInput()
		return
	}
	if c.held != 0 {
		c.in = c.in[n:]
	} else if n > 0 {
		c.in = c.in[:copy(c.in, c.in[n:])]
	}
}

// dropInput gives the input's memory back. While Handler.Data has it, deliver
// does so afterwards.
func (c *Conn) dropInput() {
	if c.data == noData {
		c.freeInput()
	}
}

// freeInput gives back the memory that the input is in.
func (c *Conn) freeInput() {
	if c.held != 0 {
		c.loop.giveBack(ring.BufferID(c.held))
		c.loop.holding--
		c.held = 0
	} else if c.in != nil {
		c.loop.inputs.put(c.in)
	}
	c.in = nil
}

// giveBack gives a receive buffer back to the driver.
func (l *Loop) giveBack(id ring.BufferID) {
	l.driver.Release(id)
	l.cameBack++
	l.cameBackSince++
}

// starve queues c until receive buffers have come back.
func (l *Loop) starve(c *Conn) {
	l.cameBackSince = 0
	if c.starving {
		return
	}
	c.starving = true
	c.nextStarved = nil
	if l.starvedLast != nil {
		l.starvedLast.nextStarved = c
	} else {
		l.starved = c
	}
	l.starvedLast = c
}

// feed re-arms the starving at the end of a turn, oldest first: all of them if every
// completion was taken, so that the buffers are back. Else completions yet to be
// taken have the buffers, but for those that came back in this turn; a receive that
// found none would be in line behind all these completions again, and again. Where
// input is held only those count that came back since a receive found none.
func (l *Loop) feed() {
	n := math.MaxInt
	switch {
	case l.holding > 0:
		n = l.cameBackSince
	case l.behind:
		n = l.cameBack
	}
	l.cameBack, l.cameBackSince = 0, 0
	for l.starved != nil && n > 0 {
		c := l.starved
		l.starved = c.nextStarved
		c.nextStarved, c.starving = nil, false
		if c.arm(); c.receiving {
			n--
		}
		c.tryDetach()
	}
	if l.starved == nil {
		l.starvedLast = nil
	}
}
