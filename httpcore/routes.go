package httpcore

import (
	"runtime/metrics"
	"time"
)

// routes learns which requests are answered quickly. A route is a method and a
// path in which runs of digits count as equal (/user/1 is /user/2). It belongs
// to its loop's goroutine.
//
// Every route has a debt: so many quick answers it has to give on a goroutine
// before it may run on the loop. A slow answer adds to it, a quick one takes
// one away, so that what has become quick comes back to the loop, and what is
// slow now and then stays away from it. Many quick answers earn some credit, out
// of which it may pay for one that takes a little longer: a garbage collection or
// another process holds a handler up for a few tenths of a millisecond quite often,
// and for longer now and then.
type routes struct {
	table [routeTable]route
	// newcomers is the debt that a route begins with: it learns from the first
	// answers of all of them, so that a server with countless quick paths, each
	// seen once, does not send them all to goroutines.
	newcomers route
	gc        gcWatch
	glances   uint // at routes with all the credit there is
}

// routeTable bounds what is remembered, a power of two. A route that hashes to
// the same place as another takes its place.
const routeTable = 1024

type route struct {
	hash    uint32
	debt    int32  // -maxCredit to maxDebt
	seen    uint32 // answers, up to freshAnswers
	holding uint32 // handlers that have blocked the loop and still run
	slowAt  int64  // the time of the last slow answer, 0: none
}

const (
	firstDebt    = 8       // of the first routes of all
	freshAnswers = 4       // of a route from which the newcomers learn
	maxDebt      = 1 << 20 // about ten seconds of a busy loop
	maxCredit    = 32      // what delays a loop by three milliseconds in all
	// slowDebt is what a slow answer costs: while it may block the loop for a
	// tick or two, thousands of quick ones have to make up for that.
	slowDebt = 4096
	// forgiving is how long after a slow answer another one costs that much. The
	// first costs the credit: it may have been the operating system that had other
	// things to do, and a tick or two in so long a time harm nobody. A debt, too, is
	// forgiven then: where goroutines are scarce, a quick route would pay for ever.
	forgiving = int64(time.Second)

	slow     = int64(time.Millisecond)       // takes the loop away from others
	quickish = int64(100 * time.Microsecond) // a unit of debt
	// collecting is how long a garbage collection may hold up a handler that
	// does not block; longer is slow in any case.
	collecting = int64(10 * time.Millisecond)

	// glance says of how many handlers one is timed where a route has all the
	// credit there is: to read the clock twice costs 2 % of a request.
	glance  = 8
	untimed = int64(-1) // how long a handler ran that was not
)

func (rs *routes) init() {
	rs.newcomers.debt = firstDebt
	rs.gc.passed() // what came before does not count
}

// at returns the route whose requests have this hash.
func (rs *routes) at(h uint32) *route {
	r := &rs.table[h%routeTable]
	if r.hash != h {
		*r = route{hash: h, debt: max(rs.newcomers.debt, 0)}
	}
	return r
}

// quick reports whether the next request of the route may run on the loop.
func (r *route) quick() bool { return r.debt <= 0 }

// wants reports whether the next handler of r, which may be nil, is to be timed.
func (rs *routes) wants(r *route) bool {
	if r == nil || r.debt > -maxCredit {
		return r != nil
	}
	rs.glances++
	return rs.glances%glance == 0
}

// note learns from an answer that took d nanoseconds, at the time now.
func (rs *routes) note(r *route, d, now int64) {
	points := int32(-1)
	switch {
	case d < quickish:
	case d < slow:
		points = int32(d / quickish)
	case d < collecting && rs.gc.passed():
		points = 0
	default:
		points = slowDebt
	}
	if r.seen < freshAnswers {
		r.seen++
		rs.newcomers.add(points)
	}
	if points == slowDebt {
		if r.slowAt == 0 || now-r.slowAt > forgiving {
			points = maxCredit
		}
		r.slowAt = max(now, 1)
	}
	if points < 0 && r.debt > firstDebt && r.slowAt != 0 && r.holding == 0 && now-r.slowAt > forgiving {
		r.debt = firstDebt
	}
	r.add(points)
}

// blocked notes that a handler of r, which may be nil, has blocked the loop at the
// time now. What is learnt from that comes with its answer; with two at a time that
// is too late.
func (r *route) blocked(now int64) {
	if r == nil {
		return
	}
	if r.holding++; r.holding > 1 {
		r.slowAt = max(now, 1)
		r.add(slowDebt)
	}
}

// returned follows blocked, when the handler has returned.
func (r *route) returned() {
	if r != nil && r.holding > 0 { // else another route has taken the place
		r.holding--
	}
}

func (r *route) add(points int32) {
	if points == slowDebt {
		r.debt = max(r.debt, 0) // no credit makes up for that
	}
	r.debt = min(max(r.debt+points, -maxCredit), maxDebt)
}

// routeHash is FNV-1a over the method and the path, with one octet for a run
// of digits. It is never 0, which marks an empty place.
func routeHash(method, path []byte) uint32 {
	const prime = 16777619
	h := uint32(2166136261)
	for _, c := range method {
		h = (h ^ uint32(c)) * prime
	}
	digits := false
	for _, c := range path {
		if '0' <= c && c <= '9' {
			if digits {
				continue
			}
			digits, c = true, '0'
		} else {
			digits = false
		}
		h = (h ^ uint32(c)) * prime
	}
	return max(h, 1)
}

// gcWatch excuses a handler that the garbage collector held up: one per
// collection, since more of them at once have another cause.
type gcWatch struct {
	sample [1]metrics.Sample
	cycles uint64
}

func (g *gcWatch) passed() bool {
	g.sample[0].Name = "/gc/cycles/total:gc-cycles"
	metrics.Read(g.sample[:])
	n := g.sample[0].Value.Uint64()
	passed := n != g.cycles
	g.cycles = n
	return passed
}

var clockBase = time.Now()

// clock is monotonic, in nanoseconds.
func clock() int64 { return int64(time.Since(clockBase)) }
