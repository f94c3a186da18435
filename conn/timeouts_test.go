//go:build linux

package conn

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// timerLoop is a loop that only has timers, and n open connections.
func timerLoop(n int) (*Loop, []*Conn) {
	l := &Loop{opts: &Options{}, now: 1}
	var cs []*Conn
	for range n {
		c := l.slots.take(l)
		c.state = stateOpen
		cs = append(cs, c)
	}
	return l, cs
}

func TestTimersOfOneValueAreFIFO(t *testing.T) {
	l, cs := timerLoop(5)
	for i, c := range cs {
		l.now = int64(i + 1)
		c.SetTimeout(ReadTimer, 100)
	}
	l.now = 50
	cs[1].SetTimeout(ReadTimer, 100) // again: now it is the last
	cs[3].SetTimeout(ReadTimer, 0)
	if at := l.timers.next(); at != 101 {
		t.Errorf("the first deadline is %d, want 101", at)
	}
	if e := l.timers.expired(100); e != nil {
		t.Errorf("slot %d expired before its time", e.conn.slot)
	}
	var got []uint32
	for e := l.timers.expired(150); e != nil; e = l.timers.expired(150) {
		if e.queue != nil {
			t.Error("an expired entry is still armed")
		}
		got = append(got, e.conn.slot)
	}
	if want := []uint32{0, 2, 4, 1}; !slices.Equal(got, want) {
		t.Errorf("expired: %v, want %v", got, want)
	}
	if at := l.timers.next(); at != 0 {
		t.Errorf("a deadline at %d is left", at)
	}
}

// TestTimersAgainstModel does anything to many timers and compares with a map.
func TestTimersAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	l, cs := timerLoop(40)
	type key struct {
		slot  uint32
		which Timer
	}
	model := map[key]int64{}
	for range 20_000 {
		l.now += r.Int64N(3)
		k := key{uint32(r.IntN(len(cs))), Timer(r.IntN(int(timers)))}
		d := time.Duration(r.IntN(200)) // more values than maxTimerQueues
		if cs[k.slot].SetTimeout(k.which, d); d > 0 {
			model[k] = l.now + int64(d)
		} else {
			delete(model, k)
		}
		for e := l.timers.expired(l.now); e != nil; e = l.timers.expired(l.now) {
			k := key{e.conn.slot, e.which}
			if at, ok := model[k]; !ok || at > l.now {
				t.Fatalf("at %d: timer %v expired, it is due at %d (armed %v)", l.now, k, at, ok)
			}
			delete(model, k)
		}
		var first int64
		for k, at := range model {
			if at <= l.now {
				t.Fatalf("at %d: timer %v did not expire, it was due at %d", l.now, k, at)
			}
			if first == 0 || at < first {
				first = at
			}
		}
		if at := l.timers.next(); at != first {
			t.Fatalf("next is %d, want %d", at, first)
		}
	}
	if n := len(l.timers.queues); n > maxTimerQueues+len(cs)*int(timers) {
		t.Errorf("%d queues", n)
	}
}

func TestTimerQueuesAreReused(t *testing.T) {
	l, cs := timerLoop(1)
	for i := range 10_000 {
		cs[0].SetTimeout(ReadTimer, time.Duration(i+1))
	}
	if n := len(l.timers.queues); n > maxTimerQueues {
		t.Errorf("%d queues for one timer, want at most %d", n, maxTimerQueues)
	}
}

func TestSetTimeoutAllocatesNothing(t *testing.T) {
	l, cs := timerLoop(2)
	n := testing.AllocsPerRun(1000, func() {
		l.now++
		cs[0].SetTimeout(ReadTimer, time.Second)
		cs[1].SetTimeout(ReadTimer, time.Second)
		cs[0].SetTimeout(WriteTimer, time.Minute)
		cs[0].SetTimeout(WriteTimer, 0)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Which timeouts a connection may have follows from its state.
func TestSetTimeoutByState(t *testing.T) {
	for _, test := range []struct {
		state       state
		read, write bool
	}{
		{stateOpen, true, true},
		{stateClosing, false, true},
		{stateLingering, false, false},
		{stateJoining, false, false},
		{stateFree, false, false},
	} {
		_, cs := timerLoop(1)
		c := cs[0]
		c.state = test.state
		c.SetTimeout(ReadTimer, time.Second)
		c.SetTimeout(WriteTimer, time.Second)
		if r, w := c.timer[ReadTimer].queue != nil, c.timer[WriteTimer].queue != nil; r != test.read || w != test.write {
			t.Errorf("state %d: armed %v and %v, want %v and %v", test.state, r, w, test.read, test.write)
		}
	}
}
