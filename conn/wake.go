//go:build linux

package conn

import (
	"math"
	"sync/atomic"
)

// Task is work for a loop that comes from another goroutine. It is intrusive:
// embed or reuse one, and posting allocates nothing. A Task may be posted
// again once its Run has been called, not before.
type Task struct {
	// Run is called on the loop's goroutine.
	Run  func(*Loop)
	next *Task
}

// inbox is a lock-free queue of many producers and one consumer, with the
// loop's sleep beside it: a producer wakes the loop only if it sleeps, and of
// a burst only the first one does.
type inbox struct {
	head     atomic.Pointer[Task] // newest first
	sleeping atomic.Bool
	taken    *Task // oldest first; the consumer's
}

// push adds t and reports whether the loop has to be woken.
func (q *inbox) push(t *Task) bool {
	for {
		old := q.head.Load()
		t.next = old
		if q.head.CompareAndSwap(old, t) {
			break
		}
	}
	return q.sleeping.Load() && q.sleeping.CompareAndSwap(true, false)
}

// take empties the queue and returns its tasks, oldest first.
func (q *inbox) take() *Task {
	if q.head.Load() == nil {
		return nil
	}
	var first *Task
	for t := q.head.Swap(nil); t != nil; {
		next := t.next
		t.next = first
		first, t = t, next
	}
	return first
}

// Post hands t to the loop, which runs it in its next turn, in the order of
// posting. It may be called from any goroutine, at any time: after the loop
// has ended, t is run by the caller, or by another one that posts (every
// connection is closed by then, and no two tasks run at the same time).
func (l *Loop) Post(t *Task) {
	if l.inbox.push(t) {
		l.driver.Wake()
	}
	if l.ended.Load() {
		l.runLate()
	}
}

// runTasks runs what was posted before, limit tasks at most, and reports whether
// that was all.
func (l *Loop) runTasks(limit int) bool {
	q := &l.inbox
	if q.taken == nil {
		q.taken = q.take()
	}
	for ; q.taken != nil; limit-- {
		if limit == 0 {
			return false
		}
		t := q.taken
		q.taken, t.next = t.next, nil
		t.Run(l)
	}
	return true
}

// runLate runs what was posted too late for the loop, so that whoever waits
// for a task's effect hears of the end.
//
// Who finds it busy leaves its task to whoever is at it, which may be itself:
// a task may post another.
func (l *Loop) runLate() {
	for l.inbox.head.Load() != nil && l.late.TryLock() {
		l.runTasks(math.MaxInt)
		l.late.Unlock()
	}
}
