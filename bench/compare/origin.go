package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ringcore/ringcore/bench/compare/procfs"
	"github.com/ringcore/ringcore/bench/compare/report"
	"github.com/ringcore/ringcore/bench/compare/target"
)

const (
	originWait = 1000            // ms that every request waits
	originTime = 5 * time.Second // of each measurement
	originWarm = 2 * time.Second // before it: everything waits that can
	// originLoad is the part of the connections whose requests wait at the same
	// time in a server that holds them all. Requests fall due evenly: if every
	// connection asked as soon as it was answered, all would march in step, and
	// a window would hold a batch more or less.
	originLoad = 0.9
	// a server that takes no more connections is given up after this
	originTimeout = 10 * time.Second
)

var originConnections = []int{1_000, 10_000}

// The two numbers that belong to each server: what a connection costs that does
// nothing, and what a request costs that is answered at once.
const (
	originIdle   = 1_000
	originActive = "plaintext64"
)

// originTargets are the servers that the question is about, whichever others
// the run compares.
func originTargets() []target.Target {
	list := []target.Target{target.Ringcore("io_uring", target.DefaultDispatch, ""), target.Ringcore("epoll", target.DefaultDispatch, "")}
	for _, p := range target.Peers() {
		switch p.Name {
		case "node", "apache-prefork", "apache-event":
			list = append(list, p)
		}
	}
	return append(list, target.RaisedPrefork())
}

// origin measures the question that the project starts from.
func (c *comparison) origin(ctx context.Context) error {
	o := &report.Origin{WaitMS: originWait}
	c.report.Origin = o
	var list []target.Target
	for _, t := range originTargets() {
		if why := t.Missing(); why != "" {
			o.Notes = append(o.Notes, t.Name+" was left out: "+why)
			continue
		}
		list = append(list, t)
	}
	for _, n := range originConnections {
		for _, t := range list {
			c.say("origin: %s, %d connections that wait %d ms", t.Name, n, originWait)
			row := &report.OriginRow{Target: t.Name, Connections: n}
			err := c.originOn(ctx, t, row)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				row.Skipped = err.Error()
			}
			o.Rows = append(o.Rows, row)
		}
	}
	o.Notes = append(o.Notes, fmt.Sprintf("Apache's limits are its defaults (%d processes with prefork, %d threads with event), but for %s: %s. All of its processes are started beforehand. Its queue of connections that nobody has accepted holds %d.",
		target.PreforkWorkers, target.EventWorkers, target.RaisedPrefork().Name, target.RaisedPrefork().What, target.Backlog))
	o.Idle = &report.Idle{Connections: originIdle}
	if err := c.idle(ctx, o.Idle, list); err != nil {
		return err
	}
	s, _ := findScenario(originActive)
	o.Active = new(report.Scenario)
	return c.scenario(ctx, s, o.Active, list)
}

func (c *comparison) originOn(ctx context.Context, t target.Target, row *report.OriginRow) error {
	s := scenario{name: originScenario, request: slow(originWait), connections: row.Connections, depth: 1, timeout: originTimeout,
		warm: originWarm, rate: originLoad * float64(row.Connections) * 1000 / originWait}
	server, err := target.Start(ctx, t, c.env)
	if err != nil {
		return err
	}
	defer server.Stop()
	if err := server.Check(ctx, plaintext); err != nil {
		return err
	}
	start, err := procfs.ReadMemory(server.PID)
	if err != nil {
		return err
	}
	row.Start = start.PSS
	var most peak
	stop := make(chan struct{})
	var look sync.WaitGroup
	look.Go(func() { most.watch(server.PID, stop) })
	round, err := c.measure(ctx, s, server, originTime)
	close(stop)
	look.Wait()
	if err != nil {
		return err
	}
	if round.Failed != "" {
		return errors.New(round.Failed)
	}
	row.PerSecond, row.Errors, row.CPU = round.PerSecond, round.Errors, round.CPU
	row.AtOnce = round.PerSecond * originWait / 1000
	for _, p := range round.Curve {
		switch p.Percentile {
		case 50:
			row.P50 = p.Micros
		case 99:
			row.P99 = p.Micros
		}
	}
	row.Processes, row.Threads, row.Memory = most.processes, most.threads, most.memory
	return nil
}

// peak is the most that a server has had.
type peak struct {
	processes, threads int
	memory             int64
}

// watch looks twice a second, until stop is closed or the server has ended.
func (p *peak) watch(pid int, stop <-chan struct{}) {
	for {
		u, err := procfs.Read(pid)
		if err != nil {
			return
		}
		m, err := procfs.ReadMemory(pid)
		if err != nil {
			return
		}
		p.processes, p.threads, p.memory = max(p.processes, u.Processes), max(p.threads, u.Threads), max(p.memory, m.PSS)
		select {
		case <-stop:
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
}
