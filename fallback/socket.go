//go:build linux

package fallback

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// phase is where an operation stands:
//
//	idle ──command──▶ armed ──result, or Cancel──▶ ended ──Next──▶ idle
//
// An ended operation waits in the queue done for Next to report its last
// completion. A stream that ends within Next skips that phase.
type phase uint8

const (
	idle phase = iota
	armed
	ended
)

type operation struct {
	token ring.Token
	err   syscall.Errno // of an ended operation
	op    ring.Op
	phase phase
}

func (o *operation) end(err syscall.Errno) { o.phase, o.err = ended, err }

// readiness is what epoll has told of a socket and no call has contradicted.
// It outlives operations: an edge is reported once, and may come while
// nothing is armed.
type readiness uint8

const (
	// registered: epoll knows the socket.
	registered readiness = 1 << iota
	// readable: recv or accept may have something.
	readable
	// unbounded: a short read does not say that the socket is drained,
	// because of EPOLLRDHUP, HUP, ERR (the end or an error follows the
	// data) or PRI (a read stops at the urgent mark).
	unbounded
	// writable: there was an edge since the send in flight was blocked.
	writable
)

// socket is the state of one file descriptor. Its address is stable, and its
// memory is used again for the next socket with the same number.
type socket struct {
	in         operation // accept or receive
	out        operation // send, connect or a wait for room
	rest       []byte    // what out has still to send, or where to connect to
	sent       int       // what out has sent, in bytes
	fd         int32
	generation uint32 // epoll's events carry it, so that late ones are known
	ready      readiness
	queued     [queues]bool
	next       [queues]*socket
}

// note takes over what an event says.
func (s *socket) note(events uint32) {
	const end = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR | unix.EPOLLPRI
	if events&(unix.EPOLLIN|end) != 0 {
		s.ready |= readable
	}
	if events&end != 0 {
		s.ready |= unbounded
	}
	if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.ready |= writable
	}
}

func (s *socket) canReceive() bool { return s.in.phase == armed && s.ready&readable != 0 }
func (s *socket) canSend() bool    { return s.out.phase == armed && s.ready&writable != 0 }

// forget makes the state that of a socket never seen. The queues may still
// hold it: whoever pops it finds nothing to do.
func (s *socket) forget() {
	s.generation++
	s.in, s.out = operation{}, operation{}
	s.rest, s.sent = nil, 0
	s.ready = 0
}

// The queues a socket may stand in, each at most once.
const (
	queueReady = iota // there is a system call to make for it
	queueDone         // an operation of it has ended
	queues
)

// turnMin is how many sockets a queue may give in a turn, beyond those that
// stood in it when the turn began. It amortises the epoll_wait between turns;
// a larger one would let busy sockets delay those that become ready.
const turnMin = 64

// queue is a first-in first-out list of sockets.
type queue struct {
	head, tail *socket
	kind       int // queueReady or queueDone
	n          int
	left       int // how many it may still give in this turn
}

func (q *queue) beginTurn() { q.left = q.n + turnMin }

func (q *queue) push(s *socket) {
	if s.queued[q.kind] {
		return
	}
	s.queued[q.kind] = true
	if q.tail == nil {
		q.head = s
	} else {
		q.tail.next[q.kind] = s
	}
	q.tail = s
	q.n++
}

// pop returns nil when the queue is empty or has given its share of the turn.
func (q *queue) pop() *socket {
	s := q.head
	if s == nil || q.left == 0 {
		return nil
	}
	if q.head = s.next[q.kind]; q.head == nil {
		q.tail = nil
	}
	s.next[q.kind], s.queued[q.kind] = nil, false
	q.n--
	q.left--
	return s
}

// sockets finds a socket by its descriptor. Chunks are allocated when a
// descriptor within is first used, and stay.
type sockets struct {
	chunks  []*[chunkSize]socket
	invalid socket // stands for numbers that no descriptor has: EBADF
}

const (
	chunkSize = 128
	maxFD     = 1 << 26
)

// find returns nil for a descriptor never used.
func (t *sockets) find(fd int) *socket {
	if uint(fd) >= maxFD {
		return &t.invalid
	}
	if i := fd / chunkSize; i < len(t.chunks) && t.chunks[i] != nil {
		return &t.chunks[i][fd%chunkSize]
	}
	return nil
}

// renew is for a descriptor that has just been opened.
func (t *sockets) renew(fd int) {
	if known := t.find(fd); known != nil && known.ready&registered != 0 {
		known.forget() // somebody closed it behind our back
	}
}

func (t *sockets) get(fd int) *socket {
	if s := t.find(fd); s != nil {
		return s
	}
	i := fd / chunkSize
	if i >= len(t.chunks) {
		t.chunks = append(t.chunks, make([]*[chunkSize]socket, i+1-len(t.chunks))...)
	}
	t.chunks[i] = new([chunkSize]socket)
	for k := range t.chunks[i] {
		t.chunks[i][k].fd = int32(i*chunkSize + k)
	}
	return &t.chunks[i][fd%chunkSize]
}
