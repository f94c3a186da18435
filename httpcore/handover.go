//go:build linux

package httpcore

import (
	"net"
	"sync"
	"time"
	"unsafe"
)

// handover is how RequestCtx.Conn becomes the real connection after
// RequestCtx.Hijack: fasthttpadaptor's http.Hijacker hands Conn out, not what
// the hijack handler gets, to net/http handlers that have not returned yet.
// What they write before the connection has left the loop waits here; what
// they read waits for it.
type handover struct {
	ready chan struct{} // closed when it is clear what becomes of the connection

	mu              sync.Mutex
	nc              *hijackedConn // once ready, unless it failed
	pending         []byte        // written meanwhile
	readBy, writeBy *time.Time    // deadlines set meanwhile
	closed, decided bool
}

// handover returns the handover of p's connection, nil if no hijack is wanted.
func (p *peer) handover() *handover {
	if *inside.hijackHandler.of(unsafe.Pointer(&p.x.ctx)) == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.given == nil {
		p.given = &handover{ready: make(chan struct{})}
	}
	return p.given
}

// failHandover tells whoever asks that there will be no connection.
func (p *peer) failHandover() {
	if h := p.handover(); h != nil {
		h.decide(nil)
	}
}

// failWaiting is failHandover while the handler may still run: for those who
// wait already.
func (p *peer) failWaiting() {
	p.mu.Lock()
	h := p.given
	p.mu.Unlock()
	if h != nil {
		h.decide(nil)
	}
}

// decide gives nc, or nil for none, to those who wait.
func (h *handover) decide(nc *hijackedConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.decided {
		return
	}
	h.decided, h.nc = true, nc
	if nc != nil {
		if h.readBy != nil {
			_ = nc.SetReadDeadline(*h.readBy)
		}
		if h.writeBy != nil {
			_ = nc.SetWriteDeadline(*h.writeBy)
		}
		if len(h.pending) > 0 {
			_, _ = nc.Write(h.pending)
		}
		if h.closed {
			_ = nc.close()
		}
	}
	h.pending = nil
	close(h.ready)
}

func (h *handover) Read(p []byte) (int, error) {
	<-h.ready
	if h.nc == nil {
		return 0, net.ErrClosed
	}
	return h.nc.Read(p)
}

func (h *handover) Write(p []byte) (int, error) {
	h.mu.Lock()
	if !h.decided && !h.closed {
		h.pending = append(h.pending, p...)
		h.mu.Unlock()
		return len(p), nil
	}
	nc := h.nc
	h.mu.Unlock() // a Write may wait for long
	if nc == nil {
		return 0, net.ErrClosed
	}
	return nc.Write(p)
}

func (h *handover) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.nc == nil {
		return nil
	}
	return h.nc.close()
}

func (h *handover) setDeadline(t time.Time, read, write bool) (err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !h.decided:
		if read {
			h.readBy = &t
		}
		if write {
			h.writeBy = &t
		}
		return nil
	case h.nc == nil:
		return net.ErrClosed
	case !write:
		return h.nc.SetReadDeadline(t)
	case !read:
		return h.nc.SetWriteDeadline(t)
	}
	return h.nc.SetDeadline(t)
}
