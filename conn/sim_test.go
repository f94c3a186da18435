//go:build linux

package conn

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"github.com/ringcore/ringcore/conn/simdriver"
)

var (
	simSeeds = flag.Int("sim.seeds", 3000, "how many seeds each simulation test runs")
	simFirst = flag.Uint64("sim.first", 1, "the first seed")
	simTrace = flag.Bool("sim.trace", false, "write what happens; for one seed")
)

// simulate runs f for many seeds. The seed of a failure is printed: run it
// again with -sim.first=SEED -sim.seeds=1 -sim.trace.
func simulate(t *testing.T, f func(s *sim)) {
	n := *simSeeds
	if raceEnabled || testing.Short() {
		n = (n + 9) / 10
	}
	for i := range n {
		s := newSim(*simFirst + uint64(i))
		if f(s); s.world == nil {
			continue // not for this seed
		}
		if s.err != nil {
			t.Fatalf("seed %d: %v\n%v\nagain: go test ./conn -run '^%s$' -sim.first=%d -sim.seeds=1 -sim.trace",
				s.seed, s.err, s.world, t.Name(), s.seed)
		}
	}
}

// sim is a simulated run of an engine with one loop. Its methods belong to
// the loop's goroutine, except run.
type sim struct {
	seed  uint64
	rng   *rand.Rand
	trace io.Writer
	world *simdriver.Driver
	loop  *Loop
	err   error // the first failure

	live    int // peers that have not come to an end
	opens   int
	closes  int
	mayFail bool // the driver gives up
	stopped bool // Shutdown was called
	ctx     context.Context
	cut     context.CancelFunc
}

func newSim(seed uint64) *sim {
	s := &sim{seed: seed, rng: rand.New(rand.NewPCG(seed, 0x74657374))}
	s.ctx, s.cut = context.WithCancel(context.Background())
	if *simTrace {
		s.trace = os.Stderr
	}
	return s
}

func (s *sim) failf(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format, args...)
	}
}

func (s *sim) chance(p float64) bool { return s.rng.Float64() < p }

func (s *sim) duration(limit time.Duration) time.Duration {
	return time.Duration(s.rng.Int64N(int64(limit)))
}

// later runs f on the loop as a task, some time later.
func (s *sim) later(limit time.Duration, f func()) {
	s.world.After(s.duration(limit), func() { s.loop.Post(&Task{Run: func(*Loop) { f() }}) })
}

// begin makes the world.
func (s *sim) begin(so simdriver.Options) {
	so.Trace = s.trace
	s.world = simdriver.New(s.seed, so)
}

// run serves handler h to whom has been dialled, until every peer has come to
// its end and the engine is shut down, and checks that nothing is left.
func (s *sim) run(o Options, h func(*Loop) Handler) {
	o.OpenDriver, o.Clock = s.world.OpenDriver, s.world.Clock
	o.Handler = func(l *Loop) Handler {
		s.loop = l
		return h(l)
	}
	defer s.cut()
	if s.live == 0 {
		s.stop(0)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.failf("%v", err)
		return
	}
	e, err := Start(o)
	if err != nil {
		s.failf("%v", err)
		return
	}
	if err := e.Listen(ln); err != nil {
		s.failf("%v", err)
	}
	select {
	case <-e.Done():
	case <-time.After(time.Minute):
		s.failf("the loop is stuck")
		return
	}
	if v := s.world.Violation(); v != nil {
		s.failf("%w", v)
	}
	if err := e.Err(); err != nil && !s.mayFail {
		s.failf("engine: %w", err)
	}
	s.checkEmpty(s.loop)
}

// checkEmpty: after its end a loop holds nothing.
func (s *sim) checkEmpty(l *Loop) {
	if s.opens != s.closes {
		s.failf("%d connections opened, %d closed", s.opens, s.closes)
	}
	if l.slots.open != 0 || l.Conns() != 0 {
		s.failf("%d slots in use, %d connections", l.slots.open, l.Conns())
	}
	if l.tiny.slabs != 0 || l.small.slabs != 0 || l.large.slabs != 0 {
		s.failf("%d and %d slabs left: send buffers leak", l.small.slabs, l.large.slabs)
	}
	free := 0
	for c := l.slots.free; c != nil; c = c.nextFree {
		free++
	}
	if free != len(l.slots.chunks)*slotsPerChunk {
		s.failf("%d of %d slots are free", free, len(l.slots.chunks)*slotsPerChunk)
	}
	for _, chunk := range l.slots.chunks {
		for i := range chunk {
			c := &chunk[i]
			if c.in != nil || c.held != 0 || c.outHead != nil || c.outTail != nil || c.State != nil || c.writer != nil || c.detach != nil ||
				c.timer[ReadTimer].queue != nil || c.timer[WriteTimer].queue != nil {
				s.failf("slot %d is free and holds something: %+v", c.slot, c)
			}
		}
	}
	if at := l.timers.next(); at != 0 {
		s.failf("a timer is armed at %v", time.Duration(at))
	}
	if l.dirty != nil || l.starved != nil {
		s.failf("connections wait that are gone: dirty %v, starved %v", l.dirty != nil, l.starved != nil)
	}
}

// ended counts a peer that has come to its end; the last one ends the run.
func (s *sim) ended() {
	if s.live--; s.live == 0 {
		s.stop(s.duration(5 * time.Millisecond))
	}
}

// stop shuts the engine down after a delay.
func (s *sim) stop(after time.Duration) {
	s.world.After(after, func() {
		if s.stopped {
			return
		}
		s.stopped = true
		e := s.loop.engine
		s.world.External(func() { _ = e.Shutdown(s.ctx) })
	})
}

// cutAfter ends the shutdown's patience.
func (s *sim) cutAfter(after time.Duration) {
	s.world.After(after, func() { s.world.External(s.cut) })
}

// random returns n bytes.
func (s *sim) random(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(s.rng.Uint32())
	}
	return p
}

// someSize returns a number of bytes: often few, at times many.
func (s *sim) someSize() int {
	return s.rng.IntN([]int{10, 300, 300, 3000, 3000, 30_000}[s.rng.IntN(6)])
}

// crowd returns how many peers there are: often few, at times many.
func (s *sim) crowd() int {
	return 1 + s.rng.IntN([]int{2, 2, 6, 6, 6, 40}[s.rng.IntN(6)])
}

// options returns limits small enough to be reached.
func (s *sim) options() Options {
	return Options{
		ReadLimit: []int{0, 1, 100, 5000}[s.rng.IntN(4)],
		HighWater: []int{0, 1, 100, 5000, 40_000}[s.rng.IntN(5)],
		MaxQueued: []int{0, slabSize}[s.rng.IntN(2)],
		Linger:    []time.Duration{0, 20 * time.Millisecond}[s.rng.IntN(2)],
	}
}

var errSim = errors.New("the simulation aborts")

// wantNext fails unless p continues what the peer who has got of want.
func (s *sim) wantNext(who, got int, p, want []byte) {
	if got+len(p) > len(want) {
		s.failf("peer %d got %d bytes, and only %d were due", who, got+len(p), len(want))
	} else if !bytes.Equal(p, want[got:got+len(p)]) {
		s.failf("peer %d: what came after %d of %d bytes is wrong", who, got, len(want))
	}
}
