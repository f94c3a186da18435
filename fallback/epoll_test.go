//go:build linux

package fallback

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

func TestOpenConfig(t *testing.T) {
	for _, c := range []struct {
		cfg ring.Config
		ok  bool
	}{
		{ring.Config{}, true},
		{ring.Config{Buffers: 1, BufferSize: 64}, true},
		{ring.Config{Buffers: 32768, BufferSize: 64}, true},
		{ring.Config{Buffers: 2, BufferSize: 1 << 20}, true},
		{ring.Config{Buffers: 3}, false},
		{ring.Config{Buffers: 65536}, false},
		{ring.Config{Buffers: -1}, false},
		{ring.Config{BufferSize: 63}, false},
		{ring.Config{BufferSize: 1<<20 + 1}, false},
		{ring.Config{BufferSize: -1}, false},
	} {
		e, err := Open(c.cfg)
		if (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.cfg, err)
		}
		if err == nil {
			must(t, "Destroy", e.Destroy())
		}
	}
}

// Destroy gives every descriptor back, also with operations in flight.
func TestNoDescriptorLeak(t *testing.T) {
	before := openFiles(t)
	for range 20 {
		e, err := Open(ring.Config{})
		must(t, "Open", err)
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		must(t, "socketpair", err)
		e.Receive(pair[0], tokenA)
		e.Send(pair[0], tokenA, nil)
		must(t, "Destroy", e.Destroy())
		must(t, "Destroy again", e.Destroy())
		must(t, "close", unix.Close(pair[0])) // Destroy has left it alone
		must(t, "close", unix.Close(pair[1]))
		if e.Wait(0) == nil {
			t.Error("Wait after Destroy succeeded")
		}
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d open files, %d before", after, before)
	}
}

// Each of a thousand calls of Wake ends a Wait.
func TestWakeEndsWait(t *testing.T) {
	d := open(t, ring.Config{})
	turn := make(chan struct{})
	defer close(turn)
	go func() {
		for range turn {
			d.Wake()
		}
	}()
	start := time.Now()
	for range 1000 {
		turn <- struct{}{}
		d.wait(patience)
	}
	if elapsed := time.Since(start); elapsed >= patience {
		t.Errorf("1000 wakes took %v: one of them was lost", elapsed)
	}
}

// Whatever was published before a Wake is seen after the Wait that it ends,
// with many at it at once.
func TestWakeIsNotLost(t *testing.T) {
	d := open(t, ring.Config{})
	const wakers, each = 8, 2000
	var published atomic.Int64
	var all sync.WaitGroup
	for range wakers {
		all.Go(func() {
			for range each {
				published.Add(1)
				d.Wake()
			}
		})
	}
	for published.Load() < wakers*each {
		start := time.Now()
		d.wait(patience)
		if time.Since(start) >= patience {
			t.Fatal("a wake was lost")
		}
	}
	all.Wait()
}

// A burst of wakes costs one system call at most, and none while the loop is
// awake.
func TestWakeIsCheapWhileAwake(t *testing.T) {
	d := open(t, ring.Config{})
	for range 1000 {
		d.Wake()
	}
	var count [8]byte
	if n, err := unix.Read(d.eventfd, count[:]); err != unix.EAGAIN {
		t.Errorf("the eventfd was written to: %d, %v, %v", n, err, count)
	}
	start := time.Now()
	d.wait(patience)
	if time.Since(start) >= patience {
		t.Error("the wakes before Wait were lost")
	}
}

// After Destroy the eventfd's number may be somebody else's.
func TestWakeAfterDestroy(t *testing.T) {
	e, err := Open(ring.Config{})
	must(t, "Open", err)
	number := e.eventfd
	must(t, "Destroy", e.Destroy())
	var pipe [2]int
	must(t, "pipe", unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
	if pipe[1] != number && pipe[0] != number {
		must(t, "dup", unix.Dup3(pipe[1], number, unix.O_CLOEXEC))
		defer unix.Close(number)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	e.eventfd = pipe[1]
	e.state.Store(asleep) // as if it had been destroyed under a sleeping Wait
	e.Wake()
	if n, err := unix.Read(pipe[0], make([]byte, 8)); err != unix.EAGAIN {
		t.Errorf("Wake wrote to a foreign descriptor: %d, %v", n, err)
	}
}

func TestWaitTimeout(t *testing.T) {
	for _, precise := range []bool{true, false} {
		d := open(t, ring.Config{})
		if precise && !d.precise {
			t.Log("no epoll_pwait2 here")
			continue
		}
		d.precise = precise
		for _, timeout := range []time.Duration{0, time.Microsecond, 1500 * time.Microsecond, 20 * time.Millisecond} {
			enters, start := d.Stats().Enters, time.Now()
			d.wait(timeout)
			if elapsed := time.Since(start); elapsed < timeout {
				t.Errorf("precise %v: waited %v, want at least %v", precise, elapsed, timeout)
			}
			want := uint64(2) // a look and a sleep: no tick, no spinning
			if timeout == 0 {
				want = 1
			}
			if n := d.Stats().Enters - enters; n != want {
				t.Errorf("precise %v: %d system calls to wait %v, want %d", precise, n, timeout, want)
			}
			d.misses = 0
		}
	}
}

// After a few looks in vain Wait sleeps without one; when there is more than
// one event again, it looks again.
func TestLooksStopWhenInVain(t *testing.T) {
	d := open(t, ring.Config{})
	calls := func(what string, want uint64) {
		t.Helper()
		before := d.Stats().Enters
		d.wait(time.Millisecond)
		if n := d.Stats().Enters - before; n != want {
			t.Errorf("%s: %d system calls in Wait, want %d", what, n, want)
		}
	}
	for range maxMisses {
		calls("at first", 2)
	}
	calls("in vain", 1)
	for range 2 {
		fd, _ := pair(t)
		defer d.Close(fd)
		d.Receive(fd, tokenA) // EPOLLOUT is an event
	}
	calls("two events", 1)
	calls("busier", 2)
}

func TestMilliseconds(t *testing.T) {
	for _, c := range []struct {
		timeout time.Duration
		want    int
	}{
		{-1, -1}, {math.MinInt64, -1}, {1, 1}, {time.Millisecond, 1}, {time.Millisecond + 1, 2},
		{time.Second, 1000}, {math.MaxInt64, math.MaxInt32},
	} {
		if got := milliseconds(c.timeout); got != c.want {
			t.Errorf("milliseconds(%d) = %d, want %d", c.timeout, got, c.want)
		}
	}
}

// With completions queued, Wait does not block; it asks epoll at least every
// second time, so that queued work cannot hide what is new.
func TestWaitWithCompletionsQueued(t *testing.T) {
	d := open(t, ring.Config{})
	fd, _ := pair(t)
	defer d.Close(fd)
	d.Send(fd, tokenA, offHeap(t, 1))
	start, enters := time.Now(), d.Stats().Enters
	for range 10 {
		d.wait(-1)
	}
	if n := d.Stats().Enters - enters; n != 5 {
		t.Errorf("asked epoll %d times in 10 Waits, want 5", n)
	}
	if time.Since(start) > patience/2 {
		t.Error("blocked with a completion queued")
	}
	d.want("send", ring.Event{Token: tokenA, Op: ring.OpSend, N: 1})
}
