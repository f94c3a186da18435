//go:build linux

package conn

import (
	"runtime"
	"testing"
)

// turnEcho echoes at the end of the turn. What begins with B first waits for
// release, with E ends its goroutine, as code of a user might.
type turnEcho struct {
	*script
	loop             *Loop
	todo             []turnJob
	entered, release chan struct{}
}

type turnJob struct {
	ref  Ref
	data string
}

func (h *turnEcho) Data(c *Conn, p []byte) int {
	h.todo = append(h.todo, turnJob{c.Ref(), string(p)})
	return len(p)
}

func (h *turnEcho) TurnEnd() bool {
	for len(h.todo) > 0 {
		job := h.todo[0]
		h.todo = h.todo[1:]
		answer := func(*Loop) {
			if c := job.ref.Conn(); c != nil {
				c.Write([]byte(job.data))
			}
		}
		t := h.loop.StepOut()
		switch job.data[0] {
		case 'B':
			h.entered <- struct{}{}
			<-h.release
		case 'E':
			defer func() {
				h.loop.HandOver(t)
				h.loop.Post(&Task{Run: answer})
			}()
			runtime.Goexit()
		}
		if !h.loop.StepIn(t) {
			h.loop.Post(&Task{Run: answer})
			return false
		}
		answer(nil)
	}
	return true
}

func serveTurnEcho(t *testing.T, kind DriverKind) (*testEngine, *turnEcho) {
	h := &turnEcho{script: &script{}, entered: make(chan struct{}), release: make(chan struct{})}
	e := serveEach(t, kind, func(l *Loop) Handler { h.loop = l; return h }, Options{Movable: true})
	return e, h
}

// The loop changes hands again and again, each time with connections whose
// operations were started by an owner that is blocked since.
func TestTakeOver(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e, h := serveTurnEcho(t, kind)
		other := e.dial()
		say := func() {
			write(t, other, []byte("hello"))
			wantRead(t, other, []byte("hello"))
		}
		say()
		const depth = 5
		for range depth {
			nc := e.dial()
			write(t, nc, []byte("B"))
			wait(t, "the code that blocks", h.entered)
			say()
			defer wantRead(t, nc, []byte("B"))
		}
		if n := e.Loops()[0].TakenOver(); n < depth {
			t.Errorf("taken over %d times, want at least %d", n, depth)
		}
		close(h.release)
		say()
	})
}

func TestHandOver(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e, _ := serveTurnEcho(t, kind)
		for range 20 {
			nc := e.dial()
			write(t, nc, []byte("Exit"))
			wantRead(t, nc, []byte("Exit"))
			nc.Close()
		}
	})
}

// The engine ends while an owner that has lost its loop is still blocked.
func TestShutdownWhileTakenOver(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e, h := serveTurnEcho(t, kind)
		nc := e.dial()
		write(t, nc, []byte("B"))
		wait(t, "the code that blocks", h.entered)
		other := e.dial()
		write(t, other, []byte("hello"))
		wantRead(t, other, []byte("hello"))
		e.stop()
		close(h.release) // its Post comes too late, and is harmless
	})
}

// The stand-by ends its looking when there is nothing to look after, and begins
// again.
func TestStandbySleeps(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e, h := serveTurnEcho(t, kind)
		other := e.dial()
		for range 2 {
			write(t, other, []byte("hello"))
			wantRead(t, other, []byte("hello"))
			eventually(t, "the stand-by sleeps", func() bool { return !e.Loops()[0].standby.awake.Load() })
			nc := e.dial()
			write(t, nc, []byte("B"))
			wait(t, "the code that blocks", h.entered)
			write(t, other, []byte("hello"))
			wantRead(t, other, []byte("hello"))
			h.release <- struct{}{}
			wantRead(t, nc, []byte("B"))
		}
	})
}
