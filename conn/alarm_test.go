//go:build linux

package conn

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Alarms ring in the order of their times, except those that were stopped.
func TestAlarmHeap(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		now := int64(1)
		l := &Loop{opts: &Options{Clock: func() int64 { return now }}}
		all := make([]Alarm, 300)
		for i := range all {
			l.SetAlarm(&all[i], time.Duration(rnd.IntN(1000)))
		}
		var want []int64
		for i := range all {
			switch rnd.IntN(3) {
			case 0:
				l.StopAlarm(&all[i])
				l.StopAlarm(&all[i])
				continue
			case 1:
				l.SetAlarm(&all[i], time.Duration(rnd.IntN(1000)))
			}
			want = append(want, all[i].at)
		}
		slices.Sort(want)
		if l.alarms.next() != want[0] {
			t.Fatalf("next is %d, want %d", l.alarms.next(), want[0])
		}
		for _, at := range want {
			if a := l.alarms.expired(at - 1); a != nil {
				t.Fatalf("rings at %d, before its time %d", at-1, a.at)
			}
			if a := l.alarms.expired(at); a == nil || a.at != at || a.place != 0 {
				t.Fatalf("got %+v, want one for %d", a, at)
			}
		}
		if l.alarms.next() != 0 || l.alarms.expired(1<<40) != nil {
			t.Fatal("more than were set")
		}
	}
}

// A loop that sleeps wakes for an alarm, not before its time; one that an alarm
// sets again rings again.
func TestAlarm(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e := serveEach(t, kind, func(*Loop) Handler { return &script{} }, Options{})
		rang := make(chan time.Duration)
		const d = 5 * time.Millisecond
		var a, stopped Alarm
		begun := time.Now()
		left := 3
		a.Run = func(l *Loop) {
			if left--; left > 0 {
				l.SetAlarm(&a, d)
				return
			}
			rang <- time.Since(begun)
		}
		stopped.Run = func(*Loop) { t.Error("a stopped alarm rings") }
		e.Loops()[0].Post(&Task{Run: func(l *Loop) {
			l.SetAlarm(&stopped, d)
			l.SetAlarm(&a, d)
			l.StopAlarm(&stopped)
		}})
		if got := <-rang; got < 3*d {
			t.Errorf("rang three times within %v, want %v at least", got, 3*d)
		}
	})
}
