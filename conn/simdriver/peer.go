//go:build linux

package simdriver

import (
	"time"

	"github.com/ringcore/ringcore/ring"
)

// End is the peer's end of a simulated connection. The callbacks may be nil;
// they and the methods belong to the loop's goroutine, within Wait.
type End struct {
	// Data gets what the server has sent, in order. p is valid until it returns.
	Data func(p []byte)
	// EOF: the server has closed its side, and everything it sent was read.
	EOF func()
	// Reset: the server has reset the connection, or never accepted it.
	Reset func()
	// Room is how many bytes the network takes for an end that does not read;
	// 0: the seed says.
	Room int

	d       *Driver
	s       *socket
	lastAt  int64 // when the last that was sent arrives
	gone    bool  // the connection was reset, by either side
	held    bool  // does not read
	reading bool  // a read is planned
	eof     bool  // has been told of EOF
}

// Dial has e connect after a delay; e can send from then on, and is not to be
// used for another connection. opened (nil: nobody) is called when it is
// connected, which is before it is accepted.
func (d *Driver) Dial(delay time.Duration, e *End, opened func()) {
	d.join(e, &socket{d: d, fd: -1, starved: -1})
	d.After(delay, func() {
		if d.refuse {
			e.resetByServer()
			return
		}
		d.backlog = append(d.backlog, e.s)
		if opened != nil {
			opened()
		}
		d.accept()
	})
}

// arriving plans f for the time when what e sends now reaches the server.
func (e *End) arriving(f func()) {
	e.lastAt = max(e.lastAt, e.d.now) + e.d.delay()
	e.d.at(e.lastAt, func() {
		if !e.gone {
			f()
		}
	})
}

// Send sends p, in pieces as the network likes it.
func (e *End) Send(p []byte) {
	for len(p) > 0 {
		n := e.d.part(len(p))
		piece := append([]byte(nil), p[:n]...)
		p = p[n:]
		e.arriving(func() {
			if e.s.closed {
				e.resetByServer()
				return
			}
			e.s.in = append(e.s.in, piece...)
			e.s.receive()
		})
	}
}

// CloseWrite closes e's side: the server sees EOF after what was sent.
func (e *End) CloseWrite() {
	e.arriving(func() {
		e.s.inEOF = true
		e.s.receive()
	})
}

// AbortConn resets the connection, after what was sent has arrived.
func (e *End) AbortConn() {
	e.arriving(func() {
		e.gone = true
		if !e.s.closed {
			e.s.in, e.s.out, e.s.reset = nil, nil, true
			e.s.kick()
		}
	})
}

// Hold stops reading, or goes on.
func (e *End) Hold(held bool) {
	e.held = held
	e.readSoon()
}

// Gone reports whether the connection was reset, by either side.
func (e *End) Gone() bool { return e.gone }

func (e *End) resetByServer() {
	if e.gone {
		return
	}
	e.gone = true
	e.s.out = nil
	if e.Reset != nil {
		e.Reset()
	}
}

func (e *End) somethingToRead() bool {
	return !e.gone && !e.held && (len(e.s.out) > 0 || e.s.shutWrite && !e.eof)
}

// readSoon plans a read if there is something to read.
func (e *End) readSoon() {
	if e.reading || !e.somethingToRead() {
		return
	}
	e.reading = true
	e.d.After(time.Duration(e.d.delay()), func() {
		e.reading = false
		if e.somethingToRead() {
			e.read()
		}
	})
}

func (e *End) read() {
	if len(e.s.out) > 0 {
		n := e.d.part(len(e.s.out))
		p := e.s.out[:n]
		e.s.out = e.s.out[n:]
		if e.Data != nil {
			e.Data(p)
		}
		e.s.transmit()
	}
	if len(e.s.out) == 0 && e.s.shutWrite && !e.eof && !e.gone {
		e.eof = true
		if e.EOF != nil {
			e.EOF()
		}
	}
	e.readSoon()
}

// haunt posts a completion of a connection that is gone: its slot has another
// generation by now.
func (d *Driver) haunt() {
	if len(d.graves) == 0 {
		return
	}
	ev := ring.Event{Token: d.graves[d.rng.IntN(len(d.graves))]}
	switch d.rng.IntN(4) {
	case 0:
		ev.Op = ring.OpSend
		ev.N = d.part(10000)
	case 1:
		ev.Op = ring.OpReceive // EOF
	default:
		ev.Op = ring.OpReceive
		ev.Buffer, ev.Data = d.buffers.fill([]byte("from beyond the grave"), d.buffers.size)
		ev.N = len(ev.Data)
		ev.More = d.rng.IntN(2) == 0
	}
	d.post(completion{Event: ev})
}
