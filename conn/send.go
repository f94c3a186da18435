//go:build linux

package conn

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// Reserve returns free space for at least n bytes at the end of the output,
// for building an answer in place; Commit then says how much of it was used.
// It returns nil when n exceeds 16 KiB, when HighWater is reached or when the
// loop's memory is used up: use Write then, which takes what fits.
func (c *Conn) Reserve(n int) []byte {
	if n > smallSize || !c.writable() {
		return nil
	}
	b := c.outTail
	if b == nil || len(b.mem)-b.w < n || (b == c.outHead && c.sending) {
		if b = c.grow(n); b == nil {
			return nil
		}
	}
	return b.mem[b.w:len(b.mem):len(b.mem)]
}

// Commit adds the first n bytes of what Reserve returned to the output. It is
// sent at the end of the turn.
func (c *Conn) Commit(n int) {
	if b := c.outTail; n > 0 {
		b.w += n
		c.queued += n
	}
	c.loop.markDirty(c)
}

// Write copies as much of p to the output as HighWater and the loop's memory
// allow, and returns how much that was. When it took less than len(p), Drained
// is called once there is room. On a connection that is closing it takes all
// of p and drops it.
func (c *Conn) Write(p []byte) int {
	if c.state != stateOpen || c.fin {
		return len(p)
	}
	taken := 0
	for taken < len(p) && c.writable() {
		b := c.outTail
		if b == nil || b.w == len(b.mem) || (b == c.outHead && c.sending) {
			if b = c.grow(len(p) - taken); b == nil {
				b = c.grow(tinySize) // a smaller one is better than waiting
			}
			if b == nil {
				break
			}
		}
		room := b.mem[b.w:]
		if limit := c.loop.opts.HighWater - c.queued; len(room) > limit {
			room = room[:limit]
		}
		n := copy(room, p[taken:])
		b.w += n
		c.queued += n
		taken += n
	}
	if taken > 0 {
		c.loop.markDirty(c)
	}
	if taken < len(p) {
		c.NotifyDrained()
	}
	return taken
}

// NotifyDrained asks for a call of Handler.Drained when the output is below
// LowWater.
func (c *Conn) NotifyDrained() {
	c.room |= roomWanted
	if c.queued > c.loop.opts.LowWater {
		return // sends are in flight, their completion tells
	}
	if c.room&roomListed == 0 { // once: who is called may ask several times
		c.room |= roomListed
		c.loop.hungry = append(c.loop.hungry, c.Ref())
	}
}

// Queued returns how many bytes wait to be sent, the part included that is on its
// way from a file.
func (c *Conn) Queued() int {
	if c.fileInFlight() {
		return c.queued + int(min(c.writer.file.left, ring.SendFileMax))
	}
	return c.queued
}

func (c *Conn) writable() bool {
	if c.state != stateOpen || c.fin {
		return false
	}
	if c.queued < c.loop.opts.HighWater {
		return true
	}
	if c.own == 0 && c.paused&pausedByOutput == 0 {
		c.pause(pausedByOutput) // who does not read our answers is not heard
	}
	return false
}

// grow adds an empty buffer to the output, large enough for n bytes if there
// is such a size; nil when there is no memory.
func (c *Conn) grow(n int) *sendBuf {
	b := c.loop.getBuf(n)
	if b == nil {
		return nil
	}
	if c.outTail != nil {
		c.outTail.next = b
	} else {
		c.outHead = b
	}
	c.outTail = b
	return b
}

// markDirty has c's output sent at the end of the turn.
func (l *Loop) markDirty(c *Conn) {
	if c.dirty {
		return
	}
	c.dirty = true
	c.nextQueued, l.dirty = l.dirty, c
}

// flush starts a send for each connection that has output and none in flight:
// what one turn produced for a connection leaves in one send.
func (l *Loop) flush() {
	c := l.dirty
	l.dirty = nil
	for c != nil {
		next := c.nextQueued
		c.nextQueued, c.dirty = nil, false
		c.startSend()
		c = next
	}
}

func (c *Conn) startSend() {
	if c.sending || c.state == stateFree || c.state == stateJoining {
		return
	}
	c.freeSent()
	if b := c.outHead; b != nil {
		c.sending = true
		c.loop.driver.Send(int(c.fd), c.token(), b.mem[b.r:b.w])
		return
	}
	if t := c.transfer(); t != nil && t.direct && len(t.head) == 0 {
		c.sendFilePart(t)
		return
	}
	c.timer[WriteTimer].remove()
	if c.state == stateClosing {
		c.linger()
		return
	}
	if c.fin && c.state == stateOpen {
		_ = c.loop.shutdown(int(c.fd), unix.SHUT_WR) // ENOTCONN: receiving tells
	}
	c.tryDetach()
}

// freeSent gives back the buffers at the head that are empty.
func (c *Conn) freeSent() {
	for b := c.outHead; b != nil && b.r == b.w; b = c.outHead {
		if c.outHead = b.next; c.outHead == nil {
			c.outTail = nil
		}
		c.loop.freeBuf(b)
	}
}

// getBuf returns a buffer for n bytes, or the largest there is; nil when the
// loop's memory is used up.
func (l *Loop) getBuf(n int) (b *sendBuf) {
	if n > smallSize {
		b = l.large.get()
	}
	if b == nil && n > tinySize {
		b = l.small.get()
	}
	if b == nil && (n <= tinySize || n > smallSize) {
		b = l.tiny.get()
	}
	if b == nil && n <= tinySize {
		b = l.small.get()
	}
	return b
}

func (l *Loop) freeBuf(b *sendBuf) {
	switch len(b.mem) {
	case tinySize:
		l.tiny.put(b)
	case smallSize:
		l.small.put(b)
	default:
		l.large.put(b)
	}
}

// onSend handles the completion of a send.
func (l *Loop) onSend(c *Conn, ev *ring.Event) {
	c.sending = false
	if ev.Err == 0 {
		c.outHead.r += ev.N // fewer than asked: the rest goes with the next send
		c.queued -= ev.N
	}
	if c.state == stateJoining {
		c.join()
		return
	}
	switch ev.Err {
	case 0, syscall.EINTR, syscall.EAGAIN, syscall.ECANCELED: // the last one: the loop has moved
	default:
		c.fail(fmt.Errorf("send: %w", ev.Err))
		return
	}
	c.freeSent()
	if c.room&roomWanted != 0 && c.queued <= l.opts.LowWater {
		c.drained()
	}
	if c.transfer() != nil {
		c.pumpFile()
	}
	if c.paused&pausedByOutput != 0 && c.queued <= l.opts.LowWater {
		c.unpause(pausedByOutput)
	}
	if c.state != stateJoining && c.state != stateFree {
		l.markDirty(c)
	}
}

// drained tells whoever waits for room.
func (c *Conn) drained() {
	c.room &^= roomWanted
	switch {
	case c.transfer() != nil:
		c.pumpFile()
	case c.writer != nil && c.writer.file == nil:
		c.writer.pump(c)
	case c.state == stateOpen:
		c.handler().Drained(c)
	}
}

// feedHungry serves those who wait for room although nothing of theirs is in
// flight: the loop's memory was used up when they asked, or they merely want
// to be called. It runs once a turn, so nobody spins: with no memory, a turn
// comes only when a send has completed.
func (l *Loop) feedHungry() {
	if len(l.hungry) == 0 {
		return
	}
	refs := l.hungry
	l.hungry = l.spareHungry[:0]
	for _, r := range refs {
		c := r.Conn()
		if c == nil {
			continue
		}
		c.room &^= roomListed
		if c.room&roomWanted != 0 && c.queued <= l.opts.LowWater {
			c.drained()
		}
	}
	clear(refs)
	l.spareHungry = refs[:0]
}
