//go:build linux

package ring

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// user_data is a Token with its Op in the upper byte. The driver's own
// operations have OpNone there and one of these below.
const (
	userDataOp = 56
	tokenMask  = 1<<userDataOp - 1

	userDataWake   = 1
	userDataCancel = 2
	userDataClose  = 3 // with the file's number above it
	userDataKind   = 1<<8 - 1
)

// scarce is how long Wait waits before it tries again what the kernel had no
// memory for.
const scarce = 10 * time.Millisecond

// Uring is the Driver over one io_uring.
type Uring struct {
	ring    *ioRing
	buffers *bufferRing
	waker   *waker
	tier    Tier
	files   bool // it does what Files wants
	thread  int  // the owner's, as the kernel numbers it

	backlog  []sqe // what a full SQ had no place for, in order
	inFlight int   // operations whose last completion has not been taken
	failed   error // what Next came upon; Wait reports it

	closeRefused bool          // the ring does not close files; for the probe
	refused      syscall.Errno // of the latest submit, which Wait may have waited out; for the probe

	// The receive that took the latest buffers, and how many of them without
	// a pause: one that takes them all is greedy, and gets no more for it.
	latest uint64
	inARow int

	submitted, completed uint64
}

var (
	_ Driver      = (*Uring)(nil)
	_ WriteWaiter = (*Uring)(nil)
)

// Open sets up an io_uring of the highest tier that works here, cfg.MaxTier at
// most. The calling goroutine must be locked to its thread (runtime.LockOSThread)
// until Destroy has returned, and is the one to use the driver.
//
// The error is a *RefusedError if io_uring cannot be had here at all, so that
// another driver is called for. Any other error is about cfg, or about the
// moment (ENOMEM, EMFILE, ENFILE).
func Open(cfg Config) (*Uring, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	features, err := Probe(cfg.MaxTier)
	if err != nil {
		return nil, err
	}
	u, err := open(cfg, features.Tier)
	if err != nil {
		return nil, explain(err)
	}
	u.files = features.Files
	return u, nil
}

// open sets up an io_uring of the given tier. cfg is complete.
func open(cfg Config, tier Tier) (*Uring, error) {
	u := &Uring{tier: tier, thread: unix.Gettid()}
	if err := u.setUp(cfg); err != nil {
		_ = u.free()
		return nil, err
	}
	u.buffers.grow()
	u.watchWaker()
	return u, nil
}

func (u *Uring) setUp(cfg Config) (err error) {
	if u.buffers, err = newBufferRing(cfg.Buffers, cfg.BufferSize); err != nil {
		return err
	}
	if u.waker, err = newWaker(); err != nil {
		return err
	}
	u.ring, err = newRing(cfg, u.tier, u.buffers, ops)
	return err
}

// Features says what the ring of this driver is and does.
func (u *Uring) Features() Features {
	return Features{
		Tier:             u.tier,
		SetupFlags:       u.ring.flags,
		FeatureBits:      u.ring.features,
		MultishotAccept:  true,
		MultishotReceive: u.tier >= Tier60,
		BufferRings:      true,
		Files:            u.files,
		Restricted:       u.ring.restricted,
		RegisteredRing:   u.ring.registered,
	}
}

// Accept implements Driver. The listening socket is put into blocking mode:
// with O_NONBLOCK an accept without connections would fail instead of waiting.
func (u *Uring) Accept(fd int, t Token) {
	_ = unix.SetNonblock(fd, false) // a bad fd is the accept's own error
	u.next().prepareAccept(fd, userData(t, OpAccept))
}

// Receive implements Driver.
func (u *Uring) Receive(fd int, t Token) {
	if u.tier >= Tier60 {
		u.next().prepareReceiveMultishot(fd, userData(t, OpReceive))
	} else {
		u.next().prepareReceive(fd, uint32(u.buffers.size), userData(t, OpReceive))
	}
}

// Send implements Driver.
func (u *Uring) Send(fd int, t Token, p []byte) {
	u.next().prepareSend(fd, p, userData(t, OpSend))
}

// Socket implements Driver.
func (u *Uring) Socket(domain int) (int, error) {
	u.ring.enters++
	return unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

// Connect implements Driver.
func (u *Uring) Connect(fd int, t Token, addr []byte) {
	u.next().prepareConnect(fd, addr, userData(t, OpConnect))
}

// Writable implements WriteWaiter.
func (u *Uring) Writable(fd int, t Token) { u.next().prepareWritable(fd, userData(t, OpWritable)) }

// Cancel implements Driver. It goes by the operation's user_data; fd is for
// other drivers.
func (u *Uring) Cancel(_ int, t Token, op Op) {
	u.next().prepareCancel(userData(t, op), userDataCancel)
}

// Close implements Driver.
func (u *Uring) Close(fd int) {
	u.ring.enters++
	_ = unix.Close(fd) // the file is gone whatever it says (close(2))
}

// Detach implements Driver.
func (u *Uring) Detach(fd int) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("ring: detach of socket %d: %w", fd, err)
	}
	return nil
}

// Release implements Driver. The kernel learns of it with the next Wait.
func (u *Uring) Release(id BufferID) { u.buffers.release(id) }

// Wake implements Driver. Called after Destroy it does nothing.
func (u *Uring) Wake() { u.waker.wake() }

// Stats implements Driver.
func (u *Uring) Stats() Stats {
	return Stats{
		Enters:       u.ring.enters,
		Submitted:    u.submitted,
		Completed:    u.completed,
		Buffers:      u.buffers.provided,
		BuffersInUse: u.buffers.inUse,
	}
}

func userData(t Token, op Op) uint64 { return uint64(t)&tokenMask | uint64(op)<<userDataOp }

func (u *Uring) watchWaker() { u.next().preparePollMultishot(u.waker.fd, userDataWake) }

// Next implements Driver.
func (u *Uring) Next(ev *Event) bool {
	var c cqe
	for u.ring.cq.take(&c) {
		if c.flags&cqeMore == 0 {
			u.inFlight--
		}
		op := Op(c.userData >> userDataOp)
		if op == OpNone {
			u.internal(&c)
			continue
		}
		u.completed++
		*ev = Event{Token: Token(c.userData & tokenMask), Op: op, More: c.flags&cqeMore != 0}
		if c.res < 0 {
			ev.Err = syscall.Errno(-c.res)
		} else {
			ev.N = int(c.res)
		}
		switch {
		case op == OpReceive:
			u.received(&c, ev)
		case op == OpOpen && c.res >= 0:
			Opened(int(c.res))
		case op == OpWritable:
			ev.N = 0 // what it is ready for, sending tells
		}
		return true
	}
	return false
}

// received completes the event of a receive.
func (u *Uring) received(c *cqe, ev *Event) {
	if c.flags&cqeBuffer != 0 {
		id := uint16(c.flags >> cqeBufferShift)
		if c.userData != u.latest {
			u.latest, u.inARow = c.userData, 0
		}
		u.inARow++
		if c.res > 0 {
			ev.Data, ev.Buffer = u.buffers.taken(id, int(c.res))
		} else {
			u.buffers.put(id) // taken, and nothing is in it
		}
	}
	switch ev.Err {
	case unix.ENOBUFS:
		ev.Err = u.buffers.ranOut(c.userData == u.latest && u.inARow > u.buffers.provided/2)
	case unix.EINTR:
		ev.Err = unix.EAGAIN
	}
}

// internal takes the completion of an operation of the driver's own.
func (u *Uring) internal(c *cqe) {
	errno := syscall.Errno(max(0, -c.res))
	switch {
	case c.userData&userDataKind == userDataClose:
		// The file is gone whatever it says (close(2)), unless it was not begun.
		if u.closeRefused = errno == unix.EACCES || errno == unix.EINVAL; errno == unix.ECANCELED {
			u.CloseFile(int(c.userData >> 8)) // the driver has moved
		}
	case c.userData == userDataCancel:
		switch errno {
		case 0, unix.ENOENT, unix.EALREADY: // done; nothing to cancel; under way
		default:
			u.failed = fmt.Errorf("ring: cancel: %w", errno)
		}
	case c.flags&cqeMore != 0: // woken; the Wait that ended for it was enough
	case errno == 0 || errno == unix.ECANCELED:
		u.watchWaker() // a multishot poll ends, for one, when the CQ overflows
	default:
		u.failed = fmt.Errorf("ring: poll of the eventfd: %w", errno)
	}
}
