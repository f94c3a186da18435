package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/ringcore/ringcore/bench/compare/loader"
	"github.com/ringcore/ringcore/bench/compare/procfs"
	"github.com/ringcore/ringcore/bench/compare/report"
	"github.com/ringcore/ringcore/bench/compare/target"
)

// The quick requests beside handlers that wait.
const (
	quickRate        = 200 // requests/s
	quickConnections = 8
)

// warmUp is how long load is put on before a measurement: connections have
// been made, and batches have grown.
const warmUp = 200 * time.Millisecond

func (s scenario) job(addr string, d time.Duration, cpus []int) loader.Job {
	return loader.Job{
		Addr: addr, Method: s.request.Method, Path: s.request.Path, Body: s.request.Body, Length: len(s.request.Want),
		Connections: s.connections, Depth: s.depth, Close: s.close, Timeout: s.timeout, Duration: d, Warm: cmp.Or(s.warm, warmUp), Rate: s.rate, CPUs: cpus,
	}
}

// measure puts the scenario's load on a server once.
func (c *comparison) measure(ctx context.Context, s scenario, server *target.Running, d time.Duration) (report.Round, error) {
	use, err := c.startUse()
	if err != nil {
		return report.Round{}, err
	}
	samples := startSampler(server.PID, c.load)
	whole, err := procfs.Read(server.PID)
	if err != nil {
		return report.Round{}, err
	}
	quick := c.startQuick(ctx, s, server, d)
	res, err := c.loader.Run(ctx, s.job(server.Addr, d, c.load))
	beside := <-quick
	used, wall, failed := samples.end(server.PID, res.From, res.To)
	switch {
	case err != nil:
		return report.Round{}, err
	case beside.err != nil:
		return report.Round{}, beside.err
	case failed != nil:
		return report.Round{}, failed
	}
	round := report.Round{
		Requests: res.Requests, Errors: res.Errors, Kinds: res.Notes, PerSecond: res.PerSecond, Curve: res.Curve, QuickP99: beside.At(99),
		Busy:   part(used.CPU, wall, len(c.server)),
		Client: cmp.Or(res.ClientBusy, part(res.ClientCPU, res.ClientRun, len(c.load))),
	}
	if round.Requests == 0 {
		round.Failed = fmt.Sprintf("nothing was answered, %d errors", res.Errors)
		return round, nil
	}
	// quick requests are asked at an even rate, so as many in any part of the time
	answered := float64(res.Requests) + beside.PerSecond*wall.Seconds()
	round.CPU = float64(used.CPU.Nanoseconds()) / 1e3 / answered
	round.Switches = float64(used.Switches) / answered
	all, err := procfs.Read(server.PID)
	if err != nil {
		return round, err
	}
	round.Other, round.Steal, err = use.others(all.Since(whole).CPU + res.ClientCPU)
	return round, err
}

// quickResult is the outcome of the quick requests beside.
type quickResult struct {
	loader.Result
	err error
}

// startQuick asks quick requests beside handlers that wait, if the scenario
// wants them, for as long as the measurement lasts.
func (c *comparison) startQuick(ctx context.Context, s scenario, server *target.Running, d time.Duration) <-chan quickResult {
	done := make(chan quickResult, 1)
	if !s.waits {
		done <- quickResult{}
		return done
	}
	probe := scenario{request: plaintext, connections: quickConnections, depth: 1}.job(server.Addr, d+warmUp, c.load)
	probe.Rate = quickRate
	go func() {
		r, err := loader.Probe{}.Run(ctx, probe)
		done <- quickResult{r, err}
	}()
	return done
}

// use is what the machine's CPUs have done since a moment.
type use struct {
	cpus   []int
	before procfs.CPUTimes
	self   time.Duration
}

func (c *comparison) startUse() (use, error) {
	u := use{cpus: append(append([]int{}, c.server...), c.load...)}
	var err error
	if u.before, err = procfs.ReadCPUs(u.cpus...); err != nil {
		return u, err
	}
	u.self, err = procfs.ReadSelf()
	return u, err
}

// others returns the parts of the CPUs' time that went neither to ours, which
// is given, nor to this program, and that the hypervisor took.
func (u use) others(ours time.Duration) (other, steal float64, err error) {
	now, err := procfs.ReadCPUs(u.cpus...)
	if err != nil {
		return 0, 0, err
	}
	self, err := procfs.ReadSelf()
	d := now.Sub(u.before)
	if err != nil || d.Total <= 0 {
		return 0, 0, err
	}
	other = float64(d.Busy-ours-(self-u.self)) / float64(d.Total)
	return max(0, other), float64(d.Steal) / float64(d.Total), nil
}

// part is how much of some CPUs' time was used.
func part(used, wall time.Duration, cpus int) float64 {
	if wall <= 0 || cpus == 0 {
		return 0
	}
	return float64(used) / float64(wall) / float64(cpus)
}
