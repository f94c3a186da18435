package main

import (
	"time"
)

// A -quick run keeps its time by itself: it plans each scenario with the time
// that is left, and what is not done at the end is left out, and said. Together
// with ending the servers and writing the report it takes less than 60 s.
const (
	quickPlan = 46 * time.Second // what the measurements are planned for
	quickEnd  = 54 * time.Second // when what is under way is cut off
	// quickBuild is how much of it may go to building the programs from Go's
	// cache. Compiling them for the first time takes longer, and comes on top.
	quickBuild = 8 * time.Second
)

// budget is what is left of a -quick run; the zero value is of a run that takes
// what it needs.
type budget struct {
	plan, end time.Time
}

// newBudget is that of a run that began at a moment and has built its programs now.
func newBudget(began, now time.Time) budget {
	if now.Sub(began) > quickBuild {
		began = now.Add(-quickBuild)
	}
	return budget{plan: began.Add(quickPlan), end: began.Add(quickEnd)}
}

func (b budget) limited() bool { return !b.end.IsZero() }

const (
	startCost = 300 * time.Millisecond // a server's start, check and end
	idleCost  = 3 * time.Second        // a server in a scenario of idle connections
	longest   = 2 * time.Second        // of a measurement
	// A measurement takes longer than its time by about this: connections are
	// made, the load warms up, programs start.
	aroundCost = 350 * time.Millisecond
)

// fit returns the length of each measurement with which the scenarios that are
// left take the time that is left: loads is how many of them are loads, the
// first is the next, idles how many hold idle connections. It takes around for
// what a measurement takes beside its time.
func (b budget) fit(now time.Time, loads, idles, targets, rounds int, around time.Duration) time.Duration {
	room := b.plan.Sub(now) - time.Duration(idles*targets)*idleCost - time.Duration(loads*targets)*startCost
	n := loads * targets * (rounds + 1) // one to warm up and to count system calls
	if n == 0 {
		return 0
	}
	d := room/time.Duration(n) - around
	return min(d.Round(50*time.Millisecond), longest)
}
