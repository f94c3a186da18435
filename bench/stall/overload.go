//go:build unix

package main

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// overload asks a server for many times what it can do on its slow path, and
// looks all along at quick requests and at a few slow ones: before, meanwhile
// and after. The clients of the flood are as many as there are connections:
// what falls due while all of them wait for an answer is held back.
type overload struct {
	load         *load
	times        float64 // what the slow path sustains
	flood, fill  int     // connections of the flood, and of the measurement of what is sustained
	calm, finish time.Duration
	closed       time.Duration // how long to measure what is sustained

	begun, from, to time.Time // the flood's length is from … to
	drained         time.Time // when its last answer was there
	sustained       float64
	answered        atomic.Int64
	refused, held   atomic.Int64
	lost            atomic.Int64 // no answer, or none that says what became of it

	mu          sync.Mutex
	quick, slow []answer
	peak        usage
}

// settle is how long to wait until what rush has left is gone.
const settle = 500 * time.Millisecond

func (o *overload) run(out io.Writer) error {
	o.begun = time.Now()
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { o.probe(o.load.quick, o.load.rate, o.load.conns, &o.quick, end) })
	wg.Go(func() { o.probe(o.load.slow, o.load.slowRate, 20, &o.slow, end) })
	go o.sample() // not waited for: its answer may come when all is over
	time.Sleep(o.calm)
	o.rush()
	time.Sleep(settle)
	o.from = time.Now()
	o.to = o.from.Add(o.load.span)
	o.pour()
	o.drained = time.Now()
	time.Sleep(time.Until(o.to.Add(o.finish)))
	close(end)
	wg.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.load.seconds {
		o.printSeconds(out)
	}
	o.print(out)
	return o.load.firstError
}

// rush measures what the slow path sustains: so many connections, each with
// its next request at once.
func (o *overload) rush() {
	var n atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(o.closed)
	for range o.fill {
		wg.Go(func() {
			c, err := o.load.dial()
			for err == nil && time.Now().Before(end) {
				var status int
				if status, err = c.get(o.load.slow); status == 200 {
					n.Add(1)
				}
			}
			o.load.note(err)
			if c != nil {
				c.close()
			}
		})
	}
	wg.Wait()
	o.sustained = float64(n.Load()) / o.closed.Seconds()
}

// pour is the flood. It returns when the last of its answers is there.
func (o *overload) pour() {
	due := make(chan struct{})
	var wg sync.WaitGroup
	for range o.flood {
		wg.Go(func() {
			var c *client
			for range due {
				c = o.ask(c)
			}
			if c != nil {
				c.close()
			}
		})
	}
	sent := 0
	for now := time.Now(); now.Before(o.to); now = time.Now() {
		for want := int(now.Sub(o.from).Seconds() * o.times * o.sustained); sent < want; sent++ {
			select {
			case due <- struct{}{}:
			default:
				o.held.Add(1)
			}
		}
		time.Sleep(time.Millisecond)
	}
	close(due)
	wg.Wait()
}

// ask makes a request of the flood, and dials before that if it has to. A
// connection that was not made has lost nothing.
func (o *overload) ask(c *client) *client {
	if c == nil {
		var err error
		if c, err = o.load.dial(); err != nil {
			o.load.note(err)
			return nil
		}
	}
	status, err := c.get(o.load.slow)
	switch {
	case status == 200:
		o.answered.Add(1)
	case status == 503:
		o.refused.Add(1)
	default:
		o.lost.Add(1)
		o.load.note(err)
		c.close()
		return nil
	}
	return c
}

// probe asks for path so many times a second until end, and notes each answer.
// A request's time counts from the moment it was due; one that is due while all
// connections wait is left out.
func (o *overload) probe(path string, rate float64, conns int, into *[]answer, end <-chan struct{}) {
	due := make(chan time.Time)
	var wg sync.WaitGroup
	for range conns {
		wg.Go(func() {
			c, err := o.load.dial()
			if err != nil {
				o.load.note(err)
				return
			}
			defer c.close()
			for begun := range due {
				status, err := c.get(path)
				if err != nil {
					o.load.note(err)
					return
				}
				o.mu.Lock()
				*into = append(*into, answer{begun, time.Since(begun), status == 503})
				o.mu.Unlock()
			}
		})
	}
	step := time.Duration(1e9 / rate)
	for next := time.Now(); ; next = next.Add(step) {
		select {
		case <-end:
			close(due)
			wg.Wait()
			return
		case <-time.After(time.Until(next)):
		}
		select {
		case due <- next:
		default:
		}
	}
}

// sample looks at the server's memory and goroutines until it has gone.
func (o *overload) sample() {
	for {
		u, err := o.load.stats()
		if err != nil {
			return
		}
		o.mu.Lock()
		o.peak.resident, o.peak.goroutines = max(o.peak.resident, u.resident), max(o.peak.goroutines, u.goroutines)
		o.mu.Unlock()
		time.Sleep(200 * time.Millisecond)
	}
}

// between returns the times of the answers to what was asked from … to, sorted,
// and how many were refused.
func between(all []answer, from, to time.Time) (took []time.Duration, refused int) {
	for _, a := range all {
		switch {
		case a.begun.Before(from) || !a.begun.Before(to):
		case a.refused:
			refused++
		default:
			took = append(took, a.took)
		}
	}
	slices.Sort(took)
	return took, refused
}

func (o *overload) print(out io.Writer) {
	last := o.to.Add(o.finish)
	fmt.Fprintf(out, "sustained=%.0f asked=%.0f goodput=%.0f refused=%d held=%d lost=%d drained_ms=%d peak_kib=%d peak_goroutines=%d",
		o.sustained, o.times*o.sustained, float64(o.answered.Load())/o.load.span.Seconds(), o.refused.Load(), o.held.Load(), o.lost.Load(),
		max(o.drained.Sub(o.to), 0).Milliseconds(), o.peak.resident, o.peak.goroutines)
	for _, part := range []struct {
		name     string
		from, to time.Time
	}{
		{"calm", o.begun, o.begun.Add(o.calm)},
		{"flood", o.from, o.to},
		{"first", o.to, o.to.Add(time.Second)},
		{"then", o.to.Add(time.Second), last},
	} {
		for _, probe := range []struct {
			name string
			all  []answer
		}{{"quick", o.quick}, {"slow", o.slow}} {
			took, refused := between(probe.all, part.from, part.to)
			fmt.Fprintf(out, " %s_%s=%d/%d/%.2f/%.2f/%.2f", probe.name, part.name, len(took), refused, ms(took, 50), ms(took, 99), ms(took, 100))
		}
	}
	fmt.Fprintln(out)
}

// printSeconds prints a line for each second since the beginning.
func (o *overload) printSeconds(out io.Writer) {
	for at := o.begun; at.Before(o.to.Add(o.finish)); at = at.Add(time.Second) {
		quick, noQuick := between(o.quick, at, at.Add(time.Second))
		slow, noSlow := between(o.slow, at, at.Add(time.Second))
		fmt.Fprintf(out, "second=%.0f quick=%d refused=%d p50ms=%.2f p99ms=%.2f maxms=%.2f slow=%d refused=%d p50ms=%.2f p99ms=%.2f maxms=%.2f\n",
			at.Sub(o.from).Seconds(), len(quick), noQuick, ms(quick, 50), ms(quick, 99), ms(quick, 100),
			len(slow), noSlow, ms(slow, 50), ms(slow, 99), ms(slow, 100))
	}
}
