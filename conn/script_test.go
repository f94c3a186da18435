//go:build linux

package conn

// script is a Handler made of functions; those that are nil do the least:
// all data is consumed, and EOF and a timeout lead to Close.
type script struct {
	opened   func(c *Conn)
	data     func(c *Conn, p []byte) int
	eof      func(c *Conn)
	drained  func(c *Conn)
	timedOut func(c *Conn, which Timer)
	closed   func(c *Conn, err error)
}

func (h *script) Opened(c *Conn) {
	if h.opened != nil {
		h.opened(c)
	}
}

func (h *script) Data(c *Conn, p []byte) int {
	if h.data != nil {
		return h.data(c, p)
	}
	return len(p)
}

func (h *script) EOF(c *Conn) {
	if h.eof != nil {
		h.eof(c)
	} else {
		c.Close()
	}
}

func (h *script) Drained(c *Conn) {
	if h.drained != nil {
		h.drained(c)
	}
}

func (h *script) TimedOut(c *Conn, which Timer) {
	if h.timedOut != nil {
		h.timedOut(c, which)
	} else {
		c.Close()
	}
}

func (h *script) Closed(c *Conn, err error) {
	if h.closed != nil {
		h.closed(c, err)
	}
}

// drainScript is a script that is told of the shutdown.
type drainScript struct {
	*script
	drain func()
}

func (h drainScript) Drain() { h.drain() }
