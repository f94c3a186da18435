package main

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/ringcore/ringcore/bench/compare/pin"
)

// paceSpread is how much the machine's pace may change before it is said.
const paceSpread = 1.10

// pace times the same work again and again between the rounds: a machine
// that does it at another speed now measures something else than before.
type pace struct{ took []time.Duration }

// take does the work once on the server's first CPU.
func (p *pace) take(cpu int) error {
	best := time.Duration(0)
	err := pin.On([]int{cpu}, func() {
		for range 3 { // the best of three: an interrupt is no change of pace
			began := time.Now()
			runtime.KeepAlive(spin(1_000_000))
			if d := time.Since(began); best == 0 || d < best {
				best = d
			}
		}
	})
	p.took = append(p.took, best)
	return err
}

// note says whether the pace has changed, "" if not.
func (p *pace) note() string {
	if len(p.took) == 0 {
		return ""
	}
	low, high := slices.Min(p.took), slices.Max(p.took)
	if float64(high) < paceSpread*float64(low) {
		return ""
	}
	return fmt.Sprintf("the machine changed its pace: the same work took %v to %v between rounds; trust the ratios, which compare within a round",
		low.Round(10*time.Microsecond), high.Round(10*time.Microsecond))
}

// spin is a chain of multiplications that cannot be shortened.
func spin(n int) uint64 {
	x := uint64(1)
	for range n {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}
