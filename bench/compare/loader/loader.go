// Package loader puts load on a server by a program of its own, pinned to CPUs
// that the server does not use.
package loader

import (
	"context"
	"errors"
	"time"
)

// Job is one run of load.
type Job struct {
	Addr        string // HOST:PORT, an IPv4 address
	Method      string
	Path        string // with its query
	Body        []byte // of a POST
	Connections int
	Depth       int           // requests pipelined on each connection, at least 1
	Duration    time.Duration // of the measurement
	Warm        time.Duration // load before that, not counted, by loaders that can
	Rate        float64       // requests/s in all, on schedule; 0 for as fast as answers come
	Timeout     time.Duration // for a connection, and for an answer; 0 for 30 s
	Close       bool          // a connection per request
	Length      int           // octets of body that each response has
	CPUs        []int
}

// Result is what a run has shown. Latencies are in µs.
type Result struct {
	Requests  int64         // answered
	Errors    int64         // connections or answers that failed, of all kinds
	Seconds   float64       // that the run took
	PerSecond float64       // answered requests
	Curve     []Point       // latencies by percentile, upwards
	ClientCPU time.Duration // the load's own processor time, of the whole run
	ClientRun time.Duration // how long the load program ran
	// ClientBusy is the part of the measured time that the load's busiest thread
	// ran, 0 to 1; 0 if the loader does not say.
	ClientBusy float64
	From, To   time.Time // the measurement, after connections were made; zero if not known
	Notes      []string

	took []float64 // every latency, of a probe
}

// Point is the latency that a part of the requests stay below.
type Point struct {
	Percentile float64 `json:"percentile"` // 0 to 100
	Micros     float64 `json:"us"`
}

// At returns the latency at a percentile in µs, 0 if the curve lacks it.
func (r Result) At(percentile float64) float64 {
	for _, p := range r.Curve {
		if p.Percentile == percentile {
			return p.Micros
		}
	}
	return 0
}

// percentiles are those of every curve.
var percentiles = []float64{10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99}

// ErrCannot says that a loader cannot do such a job.
var ErrCannot = errors.New("this load generator cannot do that")

// Loader runs jobs. It is used by one goroutine at a time.
type Loader interface {
	Name() string
	// Run runs the job to its end, or fails with ErrCannot before it begins.
	Run(context.Context, Job) (Result, error)
	// Least is the shortest duration that makes sense.
	Least() time.Duration
}
