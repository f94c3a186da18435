package main

import (
	"time"

	"github.com/ringcore/ringcore/bench/compare/pin"
	"github.com/ringcore/ringcore/bench/compare/procfs"
)

// sampler reads again and again what a server has used, so that what it used
// between two moments can be told afterwards: the load generator says only at
// its end when its connections stood and its measurement began.
type sampler struct {
	samples []sample
	failed  error
	stop    chan struct{}
	done    chan struct{}
}

type sample struct {
	at    time.Time
	usage procfs.Usage
}

const (
	sampleEvery = 25 * time.Millisecond
	// a reading may cost this part of the time at most: Apache's hundreds of
	// threads take a while
	sampleShare = 20
)

// startSampler reads on the CPUs of the load, to leave the server's alone.
func startSampler(pid int, cpus []int) *sampler {
	s := &sampler{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		if err := pin.On(cpus, func() { s.run(pid) }); err != nil {
			s.failed = err
		}
	}()
	return s
}

func (s *sampler) run(pid int) {
	for {
		at := time.Now()
		usage, err := procfs.Read(pid)
		if err != nil {
			s.failed = err
			return
		}
		took := time.Since(at)
		s.samples = append(s.samples, sample{at.Add(took / 2), usage})
		select {
		case <-s.stop:
			return
		case <-time.After(max(sampleEvery, sampleShare*took)):
		}
	}
}

// end takes the last sample and returns what was used between the moments, or
// during the whole time if they are zero.
func (s *sampler) end(pid int, from, to time.Time) (procfs.Delta, time.Duration, error) {
	close(s.stop)
	<-s.done
	if s.failed != nil {
		return procfs.Delta{}, 0, s.failed
	}
	last, err := procfs.Read(pid)
	if err != nil {
		return procfs.Delta{}, 0, err
	}
	s.samples = append(s.samples, sample{time.Now(), last})
	if from.IsZero() || to.IsZero() {
		from, to = s.samples[0].at, s.samples[len(s.samples)-1].at
	}
	a, b := s.until(from), s.until(to)
	return procfs.Delta{CPU: b.CPU - a.CPU, Switches: b.Switches - a.Switches}, to.Sub(from), nil
}

// until returns what was used from the first sample to a moment, as if use
// were even between two samples.
func (s *sampler) until(t time.Time) procfs.Delta {
	var sum procfs.Delta
	for i := 1; i < len(s.samples); i++ {
		a, b := s.samples[i-1], s.samples[i]
		d := b.usage.Since(a.usage)
		if part := float64(t.Sub(a.at)) / float64(b.at.Sub(a.at)); part < 1 {
			part = max(0, part)
			sum.CPU += time.Duration(part * float64(d.CPU))
			sum.Switches += int64(part * float64(d.Switches))
			break
		}
		sum.CPU += d.CPU
		sum.Switches += d.Switches
	}
	return sum
}
