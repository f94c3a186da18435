//go:build linux

package drivertest

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// stream receives from one socket as the contract says, checks that the driver
// keeps to it, and remembers what happened.
type stream struct {
	h     *harness
	fd    int
	token ring.Token

	hold bool            // keep buffers instead of releasing them at once
	held []ring.BufferID // the buffers kept

	data      []byte
	armed     bool
	eof       bool
	starved   bool // ended for want of buffers
	cancelled bool
	err       syscall.Errno
	again     int // times that EAGAIN asked for arming again
}

// receive arms a stream on fd.
func (h *harness) receive(fd int, t ring.Token) *stream {
	s := &stream{h: h, fd: fd, token: t}
	h.on(t, ring.OpReceive, s.handle)
	s.arm()
	return s
}

func (s *stream) arm() {
	s.armed, s.starved, s.cancelled = true, false, false
	s.h.Receive(s.fd, s.token)
}

func (s *stream) handle(ev *ring.Event) {
	t := s.h.t
	t.Helper()
	if !s.armed {
		t.Fatalf("event after the stream's end: %s", show(ev))
	}
	s.armed = ev.More
	if ev.Data != nil {
		s.data = append(s.data, ev.Data...)
		if s.hold {
			s.held = append(s.held, ev.Buffer)
		} else {
			s.h.Release(ev.Buffer)
		}
	}
	switch {
	case ev.More && (ev.Err != 0 || ev.N <= 0):
		t.Fatalf("More after an end: %s", show(ev))
	case ev.Err == 0 && ev.N > 0:
		if ev.Data == nil {
			t.Fatalf("data without buffer: %s", show(ev))
		}
		if !ev.More {
			s.arm()
		}
	case ev.Err == 0:
		s.eof = true
	case ev.Err == unix.EAGAIN:
		s.again++
		s.arm()
	case ev.Err == unix.ENOBUFS:
		if s.h.Stats().BuffersInUse == 0 {
			t.Fatalf("ENOBUFS, but no buffer is in use: none will ever come back")
		}
		s.starved = true
	case ev.Err == unix.ECANCELED:
		s.cancelled = true
	default:
		s.err = ev.Err
	}
}

// releaseHeld gives back all buffers kept.
func (s *stream) releaseHeld() {
	for _, id := range s.held {
		s.h.Release(id)
	}
	s.held = s.held[:0]
}

// sendAll sends p and what remains of it, and returns the number of sends that
// it took.
func (h *harness) sendAll(fd int, t ring.Token, p []byte) int {
	h.t.Helper()
	sends, done := 0, false
	for len(p) > 0 {
		done = false
		h.on(t, ring.OpSend, func(ev *ring.Event) {
			if done || ev.More || ev.Err != 0 || ev.N <= 0 || ev.N > len(p) {
				h.t.Fatalf("send of %d bytes: %s", len(p), show(ev))
			}
			done = true
			p = p[ev.N:]
		})
		h.Send(fd, t, p)
		sends++
		h.until("send", func() bool { return done })
	}
	return sends
}
