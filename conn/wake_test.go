//go:build linux

package conn

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringcore/ringcore/ring"
)

// wakeCounter is a driver that can only be woken.
type wakeCounter struct {
	ring.Driver
	wakes atomic.Int64
	wake  chan struct{}
}

func (w *wakeCounter) Wake() {
	w.wakes.Add(1)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Every task runs once, those of a producer in its order, and the loop sleeps
// only when there is none.
func TestPostFromManyGoroutines(t *testing.T) {
	const producers, each = 8, 20_000
	d := &wakeCounter{wake: make(chan struct{}, 1)}
	l := &Loop{driver: d}
	var next [producers]int
	total := 0
	for p := range producers {
		go func() {
			for i := range each {
				l.Post(&Task{Run: func(*Loop) {
					if next[p] != i {
						t.Errorf("producer %d: task %d came when %d was due", p, i, next[p])
					}
					next[p]++
					total++
				}})
			}
		}()
	}
	for total < producers*each && !t.Failed() { // as Loop.wait and Loop.turn do
		l.inbox.sleeping.Store(true)
		if l.inbox.head.Load() == nil {
			select {
			case <-d.wake:
			case <-time.After(20 * time.Second):
				t.Fatalf("nobody wakes the loop: %d of %d tasks", total, producers*each)
			}
		}
		l.inbox.sleeping.Store(false)
		l.runTasks(math.MaxInt)
	}
	t.Logf("%d tasks, %d wakes", total, d.wakes.Load())
}

// Of a burst that meets a sleeping loop only the first one wakes it.
func TestBurstWakesOnce(t *testing.T) {
	d := &wakeCounter{wake: make(chan struct{}, 1)}
	l := &Loop{driver: d}
	l.inbox.sleeping.Store(true)
	ran := 0
	for range 100 {
		l.Post(&Task{Run: func(*Loop) { ran++ }})
	}
	if n := d.wakes.Load(); n != 1 {
		t.Errorf("%d wakes, want 1", n)
	}
	l.runTasks(math.MaxInt)
	if ran != 100 {
		t.Errorf("%d tasks ran, want 100", ran)
	}
}

// A task may be posted again from its own Run.
func TestPostAgain(t *testing.T) {
	l := &Loop{driver: &wakeCounter{}}
	ran := 0
	var task Task
	task.Run = func(l *Loop) {
		if ran++; ran < 5 {
			l.Post(&task)
		}
	}
	l.Post(&task)
	for range 5 {
		l.runTasks(math.MaxInt)
	}
	if ran != 5 {
		t.Errorf("it ran %d times, want 5", ran)
	}
}

// After the end tasks are run by those who post, one at a time, also when a
// task posts another one.
func TestPostAfterTheEnd(t *testing.T) {
	l := &Loop{driver: &wakeCounter{}}
	l.ended.Store(true)
	const producers, each = 8, 2000
	var running atomic.Int32
	var ran, chained atomic.Int64
	var all sync.WaitGroup
	for range producers {
		all.Go(func() {
			for range each {
				l.Post(&Task{Run: func(l *Loop) {
					if running.Add(1) != 1 {
						t.Error("two tasks at the same time")
					}
					ran.Add(1)
					l.Post(&Task{Run: func(*Loop) { chained.Add(1) }})
					running.Add(-1)
				}})
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("Post is stuck")
	}
	if ran.Load() != producers*each || chained.Load() != producers*each {
		t.Errorf("%d and %d tasks ran, want %d each", ran.Load(), chained.Load(), producers*each)
	}
}
