//go:build linux

package conn

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// The states of a slot:
//
//	        adopt             Close, output sent           peer's EOF,
//	free ─────────► open ──────────► closing ──────► lingering ─────────┐
//	  ▲               │                 │                │  Linger over │
//	  │               │ Abort, error    │                │              ▼
//	  │               └─────────────────┴────────────────┴─────────► joining
//	  │                                                                 │
//	  └──────── close(2), Handler.Closed, generation + 1 ◄──────────────┘
//	                             last completion of every operation in flight
//
// A close that the peer caused by its EOF skips lingering: there is nothing
// left to read.
//
// An outbound connection is connecting before it is open; what fails then goes
// to joining, and to the failed function instead of Handler.Closed.
type state uint8

const (
	stateFree       state = iota
	stateOpen             // serves
	stateConnecting       // outbound, and not connected yet
	stateClosing          // takes no more input; what is queued is being sent
	stateLingering        // our side is shut down; input is thrown away until the peer's EOF
	stateJoining          // both sides are shut down; waits for the operations in flight
)

// Reasons why a connection does not receive, a bit each.
const (
	pausedByUser   uint8 = 1 << iota // PauseReceive
	pausedByInput                    // ReadLimit unconsumed bytes
	pausedByOutput                   // HighWater bytes wait for sending
	pausedByDetach                   // Detach: for good
)

// Errors that Handler.Closed gets, besides those of the network.
var (
	// ErrShutdown: the engine was shut down and its context ended.
	ErrShutdown = errors.New("conn: shut down")
	// ErrClosed is the error of writing to a connection that is gone.
	ErrClosed = net.ErrClosed
	// ErrLinger: the peer did not read the last answer or went on sending
	// for too long after it.
	ErrLinger = errors.New("conn: peer did not finish after the close")
)

// dataState says whether Handler.Data runs: a Redeliver must not recurse.
type dataState uint8

const (
	noData dataState = iota
	inData
	again   // in Data, and Redeliver was called
	holding // in Data, and HoldInput was called
)

// Conn is a connection: a slot of its loop's table. An idle one holds no
// buffer and no goroutine.
type Conn struct {
	// State is the handler's, for what it keeps with the connection.
	State any

	loop       *Loop
	fd         int32
	slot       uint32
	generation uint32
	state      state
	paused     uint8
	receiving  bool // a receive is armed: its last completion is outstanding
	cancelling bool // … and its cancel has been asked for
	sending    bool // a send, of a file too, is in flight, or a connect
	eof        bool // the peer has closed its side
	eofTold    bool // … and the handler knows
	starving   bool // in loop.starving, waiting for a receive buffer
	dirty      bool // in loop.dirty, to be flushed at the turn's end
	room       room
	fin        bool // CloseWrite was called
	data       dataState

	in []byte // unconsumed input, nil when there is none

	outHead, outTail *sendBuf // what waits to be sent; outHead may be in flight
	queued           int      // bytes in that list

	writer *Writer // a goroutine that writes, or a file that is sent; nil for none
	detach func(net.Conn, []byte, error)
	err    error // why it closes

	timer    [timers]timerEntry
	held     heldBuffer // the receive buffer that in is in, if any
	lingered uint16     // input thrown away while lingering, in units of lingeredUnit
	own      uint32     // its number in loop.outbounds, 0: it was accepted

	nextFree    *Conn
	nextQueued  *Conn // in loop.dirty
	nextStarved *Conn // in loop.starving
}

// heldBuffer is a ring.BufferID, of which there are 32768 at most.
type heldBuffer uint16

// room is what is owed to a connection that found no room to write.
type room uint8

const (
	roomWanted room = 1 << iota // a call of Drained
	roomListed                  // it is in loop.hungry
)

// slotsPerChunk connections are allocated at once; a Conn never moves.
const slotsPerChunk = 256

// slots is the table of a loop's connections.
type slots struct {
	chunks [][]Conn
	free   *Conn
	open   int
}

func (s *slots) at(slot uint32) *Conn {
	chunk := slot / slotsPerChunk
	if int(chunk) >= len(s.chunks) {
		return nil
	}
	return &s.chunks[chunk][slot%slotsPerChunk]
}

// lookup returns the connection that t belongs to, nil when that is gone.
func (s *slots) lookup(t ring.Token) *Conn {
	c := s.at(t.Slot())
	if c == nil || c.state == stateFree || c.generation != t.Generation() {
		return nil
	}
	return c
}

func (s *slots) take(l *Loop) *Conn {
	if s.free == nil {
		chunk := make([]Conn, slotsPerChunk)
		base := uint32(len(s.chunks)) * slotsPerChunk
		for i := slotsPerChunk - 1; i >= 0; i-- {
			c := &chunk[i]
			c.loop, c.slot = l, base+uint32(i)
			for t := range c.timer {
				c.timer[t].conn, c.timer[t].which = c, Timer(t)
			}
			c.nextFree, s.free = s.free, c
		}
		s.chunks = append(s.chunks, chunk)
	}
	c := s.free
	s.free, c.nextFree = c.nextFree, nil
	s.open++
	return c
}

// give frees c's slot. Its next tenant has another generation, so that late
// completions and old Refs are recognised.
func (s *slots) give(c *Conn) {
	c.generation = ring.MakeToken(0, c.generation+1).Generation()
	c.State, c.err, c.writer, c.detach = nil, nil, nil, nil
	c.state, c.paused, c.fd, c.queued, c.lingered, c.own = stateFree, 0, -1, 0, 0, 0
	c.receiving, c.cancelling, c.sending, c.eof, c.eofTold = false, false, false, false, false
	c.room, c.fin, c.data = 0, false, noData
	c.nextFree, s.free = s.free, c
	s.open--
}

func (c *Conn) token() ring.Token { return ring.MakeToken(c.slot, c.generation) }

// Ref is a reference to a connection that may be kept and passed to other
// goroutines.
type Ref struct {
	conn       *Conn
	generation uint32
}

// Ref returns a reference to c.
func (c *Conn) Ref() Ref { return Ref{c, c.generation} }

// Conn returns the connection, or nil when it is gone. For the loop's goroutine.
func (r Ref) Conn() *Conn {
	if r.conn == nil || r.conn.state == stateFree || r.conn.generation != r.generation {
		return nil
	}
	return r.conn
}

// Loop returns the loop of the connection. It may be called from any goroutine.
func (r Ref) Loop() *Loop { return r.conn.loop }

// Loop returns the loop that serves c.
func (c *Conn) Loop() *Loop { return c.loop }

// Slot returns the number of c's slot in its loop: small numbers, used again
// after a connection has closed.
func (c *Conn) Slot() uint32 { return c.slot }

// Err returns the error that c is closing with, nil while it is open.
func (c *Conn) Err() error { return c.err }

// Closing reports whether c has been closed or aborted and waits for its end.
func (c *Conn) Closing() bool { return c.state != stateOpen }

// EOFSeen reports whether the peer has closed its side.
func (c *Conn) EOFSeen() bool { return c.eof }

// Pending reports whether received bytes wait in the kernel: a peer that looks
// idle may have sent a request that is on its way here.
func (c *Conn) Pending() bool {
	n, err := unix.IoctlGetInt(int(c.fd), unix.TIOCINQ)
	return err == nil && n > 0
}
