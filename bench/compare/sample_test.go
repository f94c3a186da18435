package main

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/ringcore/ringcore/bench/compare/pin"
)

// What the sampler says of a part of the time is what was used in that part.
func TestSampler(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/proc is Linux's")
	}
	cpus, err := pin.Allowed()
	if err != nil {
		t.Fatal(err)
	}
	s := startSampler(os.Getpid(), cpus)
	time.Sleep(100 * time.Millisecond) // something to tell apart from the work
	from := time.Now()
	work := uint64(0)
	for time.Since(from) < 300*time.Millisecond {
		work += spin(10_000)
	}
	to := time.Now()
	runtime.KeepAlive(work)
	time.Sleep(100 * time.Millisecond)
	busy := s.until // kept to read the quiet part too
	d, wall, err := s.end(os.Getpid(), from, to)
	if err != nil || wall != to.Sub(from) {
		t.Fatal(err, wall)
	}
	// on a busy machine the work gets less than the whole time, never more but for the sampling
	if d.CPU < wall/20 || d.CPU > wall*3/2 {
		t.Errorf("%v of CPU in %v of work", d.CPU, wall)
	}
	before, whole := busy(from), busy(to.Add(time.Hour))
	if before.CPU >= d.CPU || whole.CPU < d.CPU+before.CPU {
		t.Errorf("%v before, %v during, %v in all", before.CPU, d.CPU, whole.CPU)
	}
}
