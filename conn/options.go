//go:build linux

package conn

import (
	"fmt"
	"time"

	"github.com/ringcore/ringcore/ring"
)

// Options configures an Engine. The zero value of a field means its default.
type Options struct {
	// Driver says which driver to use; default Auto.
	Driver DriverKind
	// MaxTier is the highest io_uring tier that may be used; default TierBest.
	MaxTier Tier
	// Loops is the number of event loops, 1 to 1024; default 1.
	Loops int
	// Handler makes the protocol's handler for a loop. It is called once
	// for each loop, on the loop's goroutine, before its first turn.
	// Required to accept connections; an Engine without it only connects.
	Handler func(*Loop) Handler

	// ReadLimit is how many unconsumed bytes a connection may hold before
	// receiving pauses: 1 B to 1 GiB; default 64 KiB. A message that
	// Handler.Data wants to see whole must fit.
	ReadLimit int
	// HighWater is how many bytes may wait for sending on one connection
	// before Write takes no more and, on an accepted connection, receiving
	// pauses; default 128 KiB.
	HighWater int
	// LowWater is the amount below which writing and receiving go on: less
	// than HighWater; default HighWater/4.
	LowWater int
	// MaxQueued bounds the memory of one loop for bytes waiting to be sent;
	// default 512 MiB. When it is used up, Write takes nothing until other
	// connections have sent theirs.
	MaxQueued int
	// Linger is how long a closed connection goes on reading, and throwing
	// away, so that its peer gets to see the last answer before a reset;
	// default 2 s.
	Linger time.Duration

	// KeepAlive turns on TCP's keep-alive (tcp(7)) for connections,
	// with this time before and between probes; negative: with the system's
	// times. Default: off.
	KeepAlive time.Duration

	// Movable lets handlers call code that may block, see Loop.StepOut: the
	// loops can be taken over by another goroutine. On io_uring that costs
	// 0 to 6 % more processor time, with thousands of busy connections much
	// more, see ring.Config.Movable.
	Movable bool

	// Gather has a loop fetch more completions before it ends a turn that has
	// had many: for a TurnEnder whose end of a turn costs more than a system
	// call.
	Gather bool

	// Entries, CQEntries, Buffers and BufferSize size each loop's driver;
	// see ring.Config.
	Entries, CQEntries, Buffers, BufferSize int

	// OnWarning is told of shortages that pass (ErrAcceptPaused), at most once
	// a minute, on a loop's goroutine; and of ErrUnrestricted, by Start. Default:
	// nobody is.
	OnWarning func(error)

	// OpenDriver replaces the real drivers; for tests.
	OpenDriver func(ring.Config) (ring.Driver, error)
	// Clock replaces the monotonic clock (nanoseconds); for tests.
	Clock func() int64

	unlocked bool // the driver does not care which thread it is called from

	directFrom int64 // see the constant of that name; another value is for tests
}

func (o *Options) setDefaults() error {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&o.Loops, 1)
	set(&o.ReadLimit, 64<<10)
	set(&o.HighWater, 128<<10)
	set(&o.LowWater, o.HighWater/4)
	set(&o.MaxQueued, 512<<20)
	if o.directFrom == 0 {
		o.directFrom = directFrom
	}
	if o.Linger == 0 {
		o.Linger = 2 * time.Second
	}
	if o.Clock == nil {
		o.Clock = monotonic
	}
	for _, c := range []struct {
		name        string
		v, min, max int
	}{
		{"Loops", o.Loops, 1, 1024},
		{"ReadLimit", o.ReadLimit, 1, 1 << 30},
		{"HighWater", o.HighWater, 1, 1 << 30},
		{"LowWater", o.LowWater, 0, o.HighWater - 1},
		{"MaxQueued", o.MaxQueued, slabSize, 1 << 40},
	} {
		if c.v < c.min || c.v > c.max {
			return fmt.Errorf("conn: Options.%s is %d, want %d to %d", c.name, c.v, c.min, c.max)
		}
	}
	if o.Linger < 0 {
		return fmt.Errorf("conn: Options.Linger is %v, want it positive", o.Linger)
	}
	return nil
}

var started = time.Now()

// monotonic is the loop's clock: nanoseconds that never run backwards.
func monotonic() int64 { return int64(time.Since(started)) + 1 }
