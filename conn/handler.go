//go:build linux

package conn

// Handler is a protocol. Its methods are called on the loop's goroutine, one
// at a time, and must not block: while one runs, the loop's other connections
// wait.
type Handler interface {
	// Opened tells of a new connection, before anything is received.
	Opened(c *Conn)

	// Data brings the connection's unconsumed bytes, oldest first, and
	// returns how many of them it has consumed (0 to len(p)). The rest is
	// kept and comes again, at the same p[0], when more has arrived or after
	// Conn.Redeliver. p is valid until Data returns.
	Data(c *Conn, p []byte) int

	// EOF: the peer has closed its side and sends nothing more; what was
	// received before has been offered to Data. The connection can still be
	// written to. A handler that has nothing left to say calls c.Close.
	EOF(c *Conn)

	// Drained: there is room again after Write or Reserve took less than
	// was asked, or after Conn.NotifyDrained.
	Drained(c *Conn)

	// TimedOut: a timeout set by Conn.SetTimeout has passed. It is disarmed.
	TimedOut(c *Conn, which Timer)

	// Closed: the connection is gone; err says why (nil: it was closed in
	// good order). c must not be used after Closed has returned.
	Closed(c *Conn, err error)
}

// TurnEnder is implemented by a Handler that wants to know the end of each
// turn: after all completions of the turn have been handled and before the
// answers are submitted. A turn handles all connections with news, up to a few
// hundred, so that is the place for work in batches. It runs on the loop's
// goroutine, and returns true, unless Loop.StepIn was false.
type TurnEnder interface{ TurnEnd() bool }

// Drainer is implemented by a Handler that has something to do when the
// Engine starts to shut down: close the connections that are idle, and the
// others after their next answer. It is called once for each loop, after the
// loop has stopped accepting. Without it all connections are closed at once.
type Drainer interface{ Drain() }
