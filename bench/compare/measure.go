package main

import (
	"context"
	"fmt"
	"math"
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

func (s scenario) job(addr string, d time.Duration, cpus []int) loader.Job {
	return loader.Job{
		Addr: addr, Method: s.request.Method, Path: s.request.Path, Body: s.request.Body, Length: len(s.request.Want),
		Connections: s.connections, Depth: s.depth, Close: s.close, Duration: d, CPUs: cpus,
	}
}

// measure puts the scenario's load on a server once.
func (c *comparison) measure(ctx context.Context, s scenario, server *target.Running, d time.Duration) (report.Round, error) {
	all := append(append([]int{}, c.server...), c.load...)
	var quick loader.Result
	probed := make(chan error, 1)
	before, err := procfs.Read(server.PID)
	if err != nil {
		return report.Round{}, err
	}
	machine, err := procfs.ReadCPUs(all...)
	if err != nil {
		return report.Round{}, err
	}
	self, err := procfs.ReadSelf()
	if err != nil {
		return report.Round{}, err
	}
	began := time.Now()
	if s.waits {
		probe := scenario{request: plaintext, connections: quickConnections, depth: 1}.job(server.Addr, d, c.load)
		probe.Rate = quickRate
		go func() {
			var err error
			quick, err = loader.Probe{}.Run(ctx, probe)
			probed <- err
		}()
	}
	res, err := c.loader.Run(ctx, s.job(server.Addr, d, c.load))
	if s.waits {
		if failed := <-probed; err == nil {
			err = failed
		}
	}
	if err != nil {
		return report.Round{}, err
	}
	after, err := procfs.Read(server.PID)
	if err != nil {
		return report.Round{}, err
	}
	wall := time.Since(began)
	ours, err := procfs.ReadSelf()
	if err != nil {
		return report.Round{}, err
	}
	now, err := procfs.ReadCPUs(all...)
	if err != nil {
		return report.Round{}, err
	}
	used := after.Since(before)
	round := report.Round{
		Requests: res.Requests, Errors: res.Errors, PerSecond: res.PerSecond, Curve: res.Curve, QuickP99: quick.At(99),
		Busy:   part(used.CPU, wall, len(c.server)),
		Client: part(res.ClientCPU, res.ClientRun, len(c.load)),
	}
	if round.Requests == 0 {
		round.Failed = fmt.Sprintf("nothing was answered, %d errors", res.Errors)
		return round, nil
	}
	answered := float64(res.Requests + quick.Requests)
	round.CPU = float64(used.CPU.Nanoseconds()) / 1e3 / answered
	round.Switches = float64(used.Switches) / answered
	delta := now.Sub(machine)
	if delta.Total > 0 {
		other := delta.Busy - used.CPU - res.ClientCPU - (ours - self)
		round.Other = math.Max(0, float64(other)/float64(delta.Total))
		round.Steal = float64(delta.Steal) / float64(delta.Total)
	}
	return round, nil
}

// part is how much of some CPUs' time was used.
func part(used, wall time.Duration, cpus int) float64 {
	if wall <= 0 || cpus == 0 {
		return 0
	}
	return float64(used) / float64(wall) / float64(cpus)
}
