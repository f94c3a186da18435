//go:build linux

package simdriver

import (
	"math/rand/v2"
	"time"
)

// faults are the probabilities of misbehaviour: a seed has a character, so
// that rare combinations meet as well as everything at once.
type faults struct {
	late       float64 // a completion takes its time
	shortSend  float64 // a send takes less than it could
	endEarly   float64 // a stream of receives or accepts ends although all is well
	again      float64 // … with EAGAIN
	oneByte    float64 // a receive brings one byte
	cancelWins float64 // a cancel ends the operation at once; else what comes first wins
	spurious   float64 // Wait returns for nothing
	accept     float64 // accept fails
	stale      float64 // a completion for a connection long gone
	atOnce     float64 // a command reaches the kernel before the next Wait
	detach     float64 // Detach fails
	connect    float64 // a connect fails, or has to be tried again
	socket     float64 // no descriptor for a socket
	unsendable float64 // a file cannot be sent, only read; or not even that
	unordered  float64 // completions of different operations change places
	jump       float64 // the clock jumps; for each Wait
}

func newFaults(r *rand.Rand, calm bool) faults {
	if calm {
		return faults{cancelWins: 1}
	}
	rate := func() float64 {
		if r.IntN(2) == 0 {
			return 0
		}
		return []float64{0.02, 0.1, 0.4}[r.IntN(3)]
	}
	f := faults{
		late: rate(), shortSend: rate(), endEarly: rate(), again: rate(), oneByte: rate(),
		cancelWins: r.Float64(), spurious: rate(), accept: rate(), stale: rate(),
		atOnce: r.Float64(), detach: rate(), unordered: rate(), connect: rate(), socket: rate(),
		unsendable: rate(),
	}
	if r.IntN(4) == 0 {
		f.jump = 0.002
	}
	return f
}

func (d *Driver) chance(p float64) bool { return p > 0 && d.rng.Float64() < p }

// delay returns a time to wait for: mostly short, at times long.
func (d *Driver) delay() int64 {
	switch d.rng.IntN(20) {
	case 0:
		return d.rng.Int64N(int64(200 * time.Millisecond))
	case 1, 2, 3:
		return d.rng.Int64N(int64(5 * time.Millisecond))
	}
	return d.rng.Int64N(int64(200 * time.Microsecond))
}

// part returns a number from 1 to n; n is at least 1.
func (d *Driver) part(n int) int { return 1 + d.rng.IntN(n) }
