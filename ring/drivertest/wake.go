//go:build linux

package drivertest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringcore/ringcore/ring"
)

func testWaitTimeout(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	h.settle()
	for _, timeout := range []time.Duration{0, time.Microsecond, time.Millisecond, 20 * time.Millisecond} {
		// A signal may end a wait early; it does not always.
		var took time.Duration
		for try := range 10 {
			begin := time.Now()
			h.must("Wait", h.Wait(timeout))
			if took = time.Since(begin); took >= timeout-timeout/10 {
				break
			}
			if try == 9 {
				t.Errorf("Wait(%v) returned after %v", timeout, took)
			}
		}
		if took > 5*time.Second {
			t.Errorf("Wait(%v) took %v", timeout, took)
		}
		if h.Next(&h.event) {
			t.Errorf("unexpected event %s", show(&h.event))
		}
	}
}

// settle lets what a driver does after it was opened come to its end.
func (h *harness) settle() {
	h.t.Helper()
	h.quiet("before the test")
}

func testWakeEndsWait(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	h.settle()
	for range 20 {
		var woken atomic.Bool
		go func() {
			time.Sleep(time.Millisecond) // most of the time Wait is waiting by then
			woken.Store(true)
			h.Wake()
		}()
		for !woken.Load() {
			h.must("Wait", h.Wait(-1))
			if h.Next(&h.event) {
				t.Fatalf("a wake is no event: %s", show(&h.event))
			}
		}
	}
}

func testWakeBeforeWait(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	h.settle()
	for range 20 {
		h.Wake()
		h.must("Wait", h.Wait(-1))
		if h.Next(&h.event) {
			t.Fatalf("a wake is no event: %s", show(&h.event))
		}
	}
}

// testWakeMany: what was done before Wake is seen after some Wait, and wakes
// do not go on for ever.
func testWakeMany(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	h.settle()
	const wakers = 1000
	var done atomic.Int32
	for range wakers {
		go func() {
			done.Add(1)
			h.Wake()
		}()
	}
	for done.Load() < wakers {
		h.must("Wait", h.Wait(-1))
		if h.Next(&h.event) {
			t.Fatalf("a wake is no event: %s", show(&h.event))
		}
	}
	const timeout = 20 * time.Millisecond
	for n := 0; ; n++ {
		begin := time.Now()
		h.must("Wait", h.Wait(timeout))
		h.Next(&h.event)
		if time.Since(begin) >= timeout-timeout/10 {
			break
		}
		if n > 2*wakers {
			t.Fatalf("Wait still returns at once, %d times after the last wake", n)
		}
	}
}

// testWakeDuringDestroy: a waker cannot know when Destroy returns, so a late
// Wake must be harmless too.
func testWakeDuringDestroy(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	h.settle()
	var stop atomic.Bool
	var wakers, ready sync.WaitGroup
	for range 4 {
		ready.Add(1)
		wakers.Go(func() {
			h.Wake()
			ready.Done()
			for !stop.Load() {
				h.Wake()
			}
		})
	}
	ready.Wait()
	h.must("Wait", h.Wait(-1))
	h.destroy()
	stop.Store(true)
	wakers.Wait()
	h.Wake()
}
