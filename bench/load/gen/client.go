//go:build linux

package gen

import (
	"errors"
	"hash"
	"net"

	"github.com/ringcore/ringcore/conn"
)

// client is one of a worker's connections, through all that replace it.
type client struct {
	w      *worker
	conn   *conn.Conn // nil unless it is open
	parser parser
	sha256 hash.Hash // nil if no kind wants one
	state  clientState
	free   bool // in the worker's list of those with room

	// The requests that are due, oldest first: a ring. The first begun of
	// them are written, but for rest, which is what the last one lacks.
	queue []pending
	first int
	due   int
	begun int
	rest  []byte
	since int64 // when the oldest was sent, or the last response came

	local  *net.TCPAddr
	failed func(error)
}

// pending is a request that is due.
type pending struct {
	kind *kind
	at   int64 // when its latency begins
}

type clientState uint8

const (
	down clientState = iota
	queued
	connecting
	up
	leaving // closed by us or the server, the end is still to come
)

// errGivenUp is what connections are aborted with.
var errGivenUp = errors.New("given up by the client")

// add puts a request into the queue, which has room.
func (cl *client) add(k *kind, at int64) {
	if cl.due == 0 {
		cl.since = cl.w.loop.Now()
	}
	cl.queue[(cl.first+cl.due)%len(cl.queue)] = pending{k, at}
	cl.due++
	cl.w.inFlight++
}

// drop takes n requests from the end of the queue.
func (cl *client) drop(n int) {
	cl.due -= n
	cl.begun = min(cl.begun, cl.due)
	cl.w.inFlight -= int64(n)
}

// highWater is how many octets wait for sending on one connection.
const highWater = 1 << 20

// pump writes what there is room for. It stays below the high water mark: at
// it conn would stop to receive, and a server that waits for its response to
// be read before it reads on would wait for ever.
func (cl *client) pump() {
	for {
		if len(cl.rest) > 0 {
			room := highWater - 1 - cl.conn.Queued()
			n := cl.conn.Write(cl.rest[:min(len(cl.rest), room)])
			cl.w.count.sent += int64(n)
			if cl.rest = cl.rest[n:]; len(cl.rest) > 0 {
				cl.conn.NotifyDrained()
				return
			}
		}
		if cl.begun == cl.due {
			return
		}
		cl.rest = cl.queue[(cl.first+cl.begun)%len(cl.queue)].kind.wire
		cl.begun++
	}
}

// data takes responses apart and returns how many octets it has consumed.
func (cl *client) data(p []byte) int {
	n := cl.take(p)
	cl.w.count.bytes += int64(n)
	if cl.state == up && cl.due == 0 {
		cl.w.idle(cl)
	}
	return n
}

func (cl *client) take(p []byte) (n int) {
	for n < len(p) {
		if cl.begun == 0 {
			cl.fail(errProtocol) // nobody asked for it
			return n
		}
		k := cl.queue[cl.first].kind
		if cl.parser.idle() {
			cl.parser.noBody, cl.parser.hash = k.head, nil
			if k.sum != nil {
				cl.parser.hash = cl.sha256
			}
		}
		used, done, err := cl.parser.next(p[n:], &k.template)
		n += used
		if err != nil {
			cl.fail(errProtocol)
			return n
		}
		if !done {
			break
		}
		if cl.answered(); cl.state != up {
			return n
		}
	}
	return n
}

// answered takes the first request out of the queue: its response is whole.
func (cl *client) answered() {
	q, w := &cl.queue[cl.first], cl.w
	now := w.loop.Now()
	w.count.statuses[cl.parser.status]++
	if bad := q.kind.check(&cl.parser, w.digest[:]); bad != errNone {
		w.count.errors[bad]++
	} else {
		q.kind.requests++
		if w.phase < finishing || w.open() { // what an open loop has begun counts
			q.kind.latency.record(now - q.at)
		}
	}
	if cl.first++; cl.first == len(cl.queue) {
		cl.first = 0
	}
	cl.due--
	cl.begun--
	cl.since = now
	w.inFlight--
	if cl.parser.last || w.cfg.Close {
		cl.leave()
	}
}

// leave closes a connection whose last response has come. What was sent behind
// that is sent again.
func (cl *client) leave() {
	if !cl.w.cfg.Close {
		cl.w.count.reconnects++
	}
	for ; cl.due > 0; cl.drop(1) {
		cl.w.sendAgain(cl.queue[(cl.first+cl.due-1)%len(cl.queue)].at)
	}
	cl.state, cl.rest = leaving, nil
	cl.conn.Close()
}

// fail gives the connection up, and all requests on it.
func (cl *client) fail(why errorKind) {
	cl.w.count.errors[why] += int64(max(cl.due, 1))
	cl.drop(cl.due)
	cl.state, cl.rest = leaving, nil
	cl.conn.Abort(errGivenUp)
}

// eof follows the server's end of the connection.
func (cl *client) eof() {
	switch {
	case cl.state != up:
	case cl.begun > 0 && cl.parser.end() == nil:
		cl.answered() // the body that ends with the connection
	case cl.due > 0:
		cl.fail(errClosed)
	default:
		cl.leave()
	}
}

// reset prepares for another connection.
func (cl *client) reset() {
	cl.conn, cl.state, cl.rest = nil, down, nil
	cl.first, cl.begun = 0, 0
	cl.parser = parser{}
}
