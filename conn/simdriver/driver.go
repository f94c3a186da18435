//go:build linux

package simdriver

import (
	"errors"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// FirstFD is the number of the first simulated socket.
const FirstFD = 1 << 20

// Options of a simulation. The zero value is the default.
type Options struct {
	// Calm: no faults, the driver only simulates.
	Calm bool
	// NoJumps: the clock does not jump by itself.
	NoJumps bool
	// FailAfter makes Wait fail for good after so many calls; 0: never.
	FailAfter int
	// MaxWaits bounds the calls of Wait; default 1,000,000.
	MaxWaits int
	// Trace gets a line for everything that happens; nil: nobody does.
	Trace io.Writer
}

// Driver is the simulated kernel. It implements ring.Driver.
type Driver struct {
	// Answer decides what becomes of a connect to addr, a struct sockaddr. It
	// is called on the loop's goroutine, within Wait; nil: all are refused.
	Answer func(addr []byte) Reply

	seed   uint64
	opts   Options
	rng    *rand.Rand
	faults faults

	now      int64
	timeline timeline
	seq      uint64
	jumps    int

	sockets   []*socket // by fd-FirstFD, nil where none is open
	listeners []*listener
	backlog   []*socket // not accepted yet
	refuse    bool      // the listener is closed
	queued    []func()  // commands that the kernel has not seen
	done      []completion
	graves    []ring.Token // of connections that are gone
	closes    int          // calls of Close and Detach so far
	buffers   buffers
	multishot bool
	hash      maphash.Seed

	files    map[string][]byte
	open     map[int]string // files by descriptor
	lastFile int
	fileOps  map[fileKey]*operation // in flight

	wake    chan struct{}
	woken   bool
	opened  bool
	started bool // there was an Accept or a Connect
	over    bool // destroyed

	waits      int
	waitedAt   int64 // when Wait was last called
	news       bool  // something happened since
	idle, spin int   // see checkWait

	enters, submitted, completed uint64

	plannedBuffers int   // late completions that hold a buffer
	lastBufferAt   int64 // when the last of them comes

	mu        sync.Mutex
	violation error
}

var _ ring.Driver = (*Driver)(nil)

// New returns the world that follows from seed. Its driver is to be opened once.
func New(seed uint64, o Options) *Driver {
	if o.MaxWaits == 0 {
		o.MaxWaits = 1_000_000
	}
	d := &Driver{
		seed: seed, opts: o, rng: rand.New(rand.NewPCG(seed, 0x52494e47)),
		now: 1, wake: make(chan struct{}, 1), hash: maphash.MakeSeed(),
	}
	d.faults = newFaults(d.rng, o.Calm)
	if o.NoJumps {
		d.faults.jump = 0
	}
	d.multishot = o.Calm || d.rng.IntN(4) > 0
	d.buffers.open(d)
	return d
}

// OpenDriver fits conn.Options.OpenDriver. Of the configuration it uses nothing: how
// many buffers there are and how large they are is the seed's.
func (d *Driver) OpenDriver(ring.Config) (ring.Driver, error) {
	if d.opened {
		return nil, errors.New("simdriver: opened twice")
	}
	d.opened = true
	return d, nil
}

// completion is an event that has happened, and the operation it belongs to
// (nil: none that anybody waits for).
type completion struct {
	ring.Event
	of *operation
}

// operation is a command in flight, until its last completion is taken.
type operation struct {
	token    ring.Token
	op       ring.Op
	socket   *socket   // of a receive, send (of a file too) or connect
	listener *listener // of an accept
	file     int       // of a stat or a read, or to be sent
	offset   int64     // … from where on
	left     int64     // … and how much of it
	disk     bool      // it waits for the disk
	data     []byte    // of a send; the address of a connect
	sum      uint64    // … when it was submitted
	sent     int
	kernel   bool  // the kernel works on it
	planned  int   // completions that are late
	lastAt   int64 // when the last of those comes
}

// command hands a command to the kernel, now or with the next Wait.
func (d *Driver) command(f func()) {
	d.news = true
	d.submitted++
	d.queued = append(d.queued, f)
	if d.chance(d.faults.atOnce) {
		d.submit()
	}
}

func (d *Driver) submit() {
	for len(d.queued) > 0 {
		f := d.queued[0]
		d.queued = d.queued[1:]
		f()
	}
}

// complete posts a completion of o, soon or late, but after those before it.
func (d *Driver) complete(o *operation, ev ring.Event) {
	ev.Token, ev.Op = o.token, o.op
	if !ev.More {
		o.kernel = false
	}
	at := max(d.now, o.lastAt)
	if d.chance(d.faults.late) {
		at += d.delay()
	}
	direct := at == d.now && o.planned == 0
	if ev.Err == syscall.ENOBUFS && d.plannedBuffers > 0 {
		direct = false // the completions that hold the buffers come before it
		at = max(at, d.lastBufferAt)
	}
	if direct {
		d.post(completion{ev, o})
		return
	}
	o.planned++
	o.lastAt = at
	holds := ev.Buffer != ring.NoBuffer
	if holds {
		d.plannedBuffers++
		d.lastBufferAt = max(d.lastBufferAt, at)
	}
	d.at(at, func() {
		o.planned--
		if holds {
			d.plannedBuffers--
		}
		d.post(completion{ev, o})
	})
}

func (d *Driver) post(c completion) {
	d.tracef("completion: %v slot %d.%d: n %d, %v, more %v, buffer %d", c.Op, c.Token.Slot(),
		c.Token.Generation(), c.N, c.Err, c.More, c.Buffer)
	d.done = append(d.done, c)
}

// Next implements ring.Driver.
func (d *Driver) Next(ev *ring.Event) bool {
	if len(d.done) == 0 {
		return false
	}
	i := 0
	if d.chance(d.faults.unordered) {
		i = d.rng.IntN(len(d.done))
		for k := range i {
			if d.done[k].of == d.done[i].of {
				i = k // its own operation's events keep their order
				break
			}
		}
	}
	c := d.done[i]
	d.done = slices.Delete(d.done, i, i+1)
	d.news = true
	d.completed++
	d.taken(&c)
	*ev = c.Event
	return true
}

// Wait implements ring.Driver: the world moves on.
func (d *Driver) Wait(timeout time.Duration) error {
	d.enters++
	if err := d.checkWait(); err != nil {
		return err
	}
	d.submit()
	if !d.started {
		if timeout == 0 {
			return nil
		}
		return d.rest()
	}
	d.now += 1000 // a turn takes time
	if d.chance(d.faults.jump) {
		d.Jump(time.Duration(d.rng.Int64N(int64(10 * time.Minute))))
	}
	if d.chance(d.faults.stale) {
		d.haunt()
	}
	if d.chance(d.faults.spurious) {
		d.news = true
		return d.Violation()
	}
	limit := int64(1<<63 - 1)
	if timeout >= 0 {
		limit = d.now + int64(timeout)
	}
	for d.step(d.now) { // what is due
	}
	for len(d.done) == 0 && !d.wakeSeen() && d.Violation() == nil {
		if d.step(limit) {
			continue
		}
		if timeout >= 0 {
			d.now = max(d.now, limit)
			break
		}
		return d.rest()
	}
	d.woken = false
	return d.Violation()
}

// rest follows when nothing is planned any more and the loop waits without a
// limit, and when nobody has begun to accept: only a wake from outside goes on.
func (d *Driver) rest() error {
	select {
	case <-d.wake:
		d.news = true
	case <-time.After(patience):
		d.violate("the world is at rest and nobody wakes the loop: %d sockets open, %d not accepted",
			d.OpenSockets(), len(d.backlog))
	}
	return d.Violation()
}

func (d *Driver) wakeSeen() bool {
	select {
	case <-d.wake:
		d.woken = true
	default:
	}
	if d.woken {
		d.news = true
	}
	return d.woken
}

// Wake implements ring.Driver.
func (d *Driver) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Stats implements ring.Driver.
func (d *Driver) Stats() ring.Stats {
	return ring.Stats{Enters: d.enters, Submitted: d.submitted, Completed: d.completed,
		Buffers: len(d.buffers.mem), BuffersInUse: d.buffers.inUse()}
}

// Destroy implements ring.Driver. Unless Wait has failed, everything must have
// come to its end before.
func (d *Driver) Destroy() error {
	if d.over {
		d.violate("Destroy was called twice")
	}
	d.over = true
	if d.Violation() == nil && !d.failed() {
		d.checkEnd()
	}
	return nil
}

func (d *Driver) failed() bool { return d.opts.FailAfter > 0 && d.waits >= d.opts.FailAfter }

// Close implements ring.Driver.
func (d *Driver) Close(fd int) {
	d.news = true
	d.checkAlive("Close")
	if fd < FirstFD {
		d.closeListener(fd)
		return
	}
	s := d.find(fd, "Close")
	if s == nil || !d.checkQuiet(s, "Close") {
		return
	}
	d.tracef("close %d", fd)
	d.forget(s)
	s.close()
	d.closes++
}

// Detach implements ring.Driver. The socket is lost to the simulation: its
// peer sees a close.
func (d *Driver) Detach(fd int) error {
	d.news = true
	d.checkAlive("Detach")
	s := d.find(fd, "Detach")
	if s == nil || !d.checkQuiet(s, "Detach") {
		return unix.EBADF
	}
	if d.chance(d.faults.detach) {
		return unix.ENOMEM
	}
	d.tracef("detach %d", fd)
	d.forget(s)
	s.close()
	d.closes++
	return nil
}

func (d *Driver) forget(s *socket) {
	d.sockets[s.fd-FirstFD] = nil
	s.fd = -1
	if s.hasToken && !s.failed { // after a failed connect its owner may try again, with a new socket
		d.graves = append(d.graves, s.token)
		if len(d.graves) > 16 {
			d.graves = d.graves[1:]
		}
	}
}
