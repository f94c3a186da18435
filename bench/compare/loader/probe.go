package loader

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"gonum.org/v1/gonum/stat"
)

// Probe asks at a fixed rate, a little: quick requests beside a load of
// others. Latencies count from the planned moment, so that a server that
// answers nothing for a while is charged for all that should have been asked
// meanwhile. It runs in this process.
type Probe struct{}

// Name returns "probe".
func (Probe) Name() string { return "probe" }

// Least is a tenth of a second.
func (Probe) Least() time.Duration { return 100 * time.Millisecond }

// Run asks in turns on the job's connections.
func (Probe) Run(ctx context.Context, j Job) (Result, error) {
	if j.Rate <= 0 || j.Rate > maxProbe || j.Depth > 1 || j.Close || len(j.Body) > 0 {
		return Result{}, fmt.Errorf("a probe, other than a few GETs at a fixed rate: %w", ErrCannot)
	}
	var (
		mu   sync.Mutex
		r    Result
		took []float64
		all  sync.WaitGroup
	)
	began := time.Now()
	for i := range j.Connections {
		all.Go(func() {
			us, failed := j.probe(ctx, began, i)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, us...)
			r.Errors += failed
		})
	}
	all.Wait()
	r.Requests = int64(len(took))
	r.Seconds = time.Since(began).Seconds()
	r.PerSecond = float64(r.Requests) / r.Seconds
	r.took = took
	r.Curve = curve(took)
	return r, nil
}

// curve sorts the latencies.
func curve(took []float64) []Point {
	if len(took) == 0 {
		return nil
	}
	slices.Sort(took)
	var points []Point
	for _, p := range percentiles {
		points = append(points, Point{Percentile: p, Micros: stat.Quantile(p/100, stat.Empirical, took, nil)})
	}
	return points
}

// Merge adds up what several probes have seen at the same time.
func Merge(results []Result) Result {
	var sum Result
	for _, r := range results {
		sum.Requests += r.Requests
		sum.Errors += r.Errors
		sum.PerSecond += r.PerSecond
		sum.Seconds = max(sum.Seconds, r.Seconds)
		sum.took = append(sum.took, r.took...)
	}
	sum.Curve = curve(sum.took)
	return sum
}

// probe asks on one connection, which comes first at the i-th moment. A
// connection that fails is opened anew.
func (j Job) probe(ctx context.Context, began time.Time, i int) (us []float64, failed int64) {
	gap := time.Duration(float64(j.Connections) / j.Rate * float64(time.Second))
	planned := began.Add(gap * time.Duration(i) / time.Duration(j.Connections))
	var c net.Conn
	var in *bufio.Reader
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	end := began.Add(j.Duration)
	for ; planned.Before(end); planned = planned.Add(gap) {
		if time.Since(end) > probePatience { // hopeless: those that are left fail
			failed++
			continue
		}
		select {
		case <-ctx.Done():
			return us, failed
		case <-time.After(time.Until(planned)):
		}
		err := func() (err error) {
			if c == nil {
				if c, err = net.DialTimeout("tcp", j.Addr, probePatience); err != nil {
					return err
				}
				in = bufio.NewReader(c)
			}
			return j.ask(c, in)
		}()
		if err != nil {
			failed++
			if c != nil {
				c.Close()
				c = nil
			}
			continue
		}
		us = append(us, float64(time.Since(planned))/1e3)
	}
	return us, failed
}

// maxProbe is the highest rate, in requests/s: beyond it this process would
// measure itself.
const maxProbe = 5000

// probePatience bounds the wait for an answer.
const probePatience = 5 * time.Second

func (j Job) ask(c net.Conn, in *bufio.Reader) error {
	if err := c.SetDeadline(time.Now().Add(probePatience)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: probe\r\n\r\n", j.Method, j.Path); err != nil {
		return err
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || n != int64(j.Length)) {
		err = fmt.Errorf("status %d, %d octets", res.StatusCode, n)
	}
	return err
}
