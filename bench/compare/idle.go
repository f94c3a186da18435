package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ringcore/ringcore/bench/compare/loader"
	"github.com/ringcore/ringcore/bench/compare/procfs"
	"github.com/ringcore/ringcore/bench/compare/report"
	"github.com/ringcore/ringcore/bench/compare/target"
)

const (
	// perProcess is how many connections a process holds at most, on either
	// side: limits of 20,000 open files per process are common.
	perProcess = 16_000
	watch      = time.Second // how long an idle server's CPU time is watched

	// What a connection takes at most, in octets: both ends in the kernel, the
	// server, and the process that holds it. Less free memory, and the reserve,
	// and it is not tried.
	ourConnection  = 13 << 10
	peerConnection = 34 << 10
	reserve        = 2 << 30
)

// idle measures what connections that do nothing cost each server.
func (c *comparison) idle(ctx context.Context, out *report.Idle, targets []target.Target) error {
	for _, t := range targets {
		c.say("%d idle connections: %s", out.Connections, t.Name)
		row := &report.IdleRow{Target: t.Name}
		err := c.idleOn(ctx, t, out.Connections, row)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			row.Skipped = err.Error()
		}
		out.Rows = append(out.Rows, row)
	}
	return nil
}

func (c *comparison) idleOn(ctx context.Context, t target.Target, n int, row *report.IdleRow) error {
	var servers []*target.Running
	var holders []*holder
	defer func() {
		for _, h := range holders {
			h.stop()
		}
		stopAll(servers)
	}()
	each := int64(peerConnection)
	if t.Ours {
		each = ourConnection
	}
	if need := int64(n)*each + reserve; procfs.MemoryAvailable() < need {
		return fmt.Errorf("it takes %d GiB of free memory", need>>30)
	}
	row.Servers = (n + perProcess - 1) / perProcess
	if t.Workers > 0 {
		row.Servers = 1 // it has a limit of its own, which is what is to be seen
	}
	for range row.Servers {
		s, err := target.Start(ctx, t, c.env)
		if err != nil {
			return err
		}
		servers = append(servers, s)
		if err := s.Check(ctx, plaintext); err != nil { // what is set up once is not counted
			return err
		}
	}
	before, slab, err := memory(servers)
	if err != nil {
		return err
	}
	left := n
	for i, s := range servers {
		share := min((left+len(servers)-i-1)/(len(servers)-i), perProcess)
		h, err := startHolder(ctx, s.Addr, share, c.load)
		if err != nil {
			return err
		}
		holders = append(holders, h)
		row.Held += h.held
		left -= share
	}
	if row.Held == 0 {
		return errors.New("it held no connection")
	}
	if row.Held < n && t.Workers == 0 {
		row.Remark = fmt.Sprintf("held %d of %d connections", row.Held, n)
	}
	if err := pause(ctx, watch); err != nil { // the last request's traces settle
		return err
	}
	if err := c.atRest(ctx, servers, row); err != nil {
		return err
	}
	after, slabAfter, err := memory(servers)
	if err != nil {
		return err
	}
	row.Memory = after
	if t.Forks {
		before = 0 // its processes, which are there beforehand, are for the connections
	}
	row.PerConn = float64(after-before) / float64(row.Held)
	row.Kernel = float64(slabAfter-slab) / float64(row.Held)
	if row.Held < n {
		if t.Workers > 0 {
			row.Remark = fmt.Sprintf("%s: took %d of %d connections, and left the next one without an answer", t.What, row.Held, n)
		}
		return nil
	}
	return c.active(ctx, servers, n/100, row)
}

// atRest reads what servers use while nothing happens.
func (c *comparison) atRest(ctx context.Context, servers []*target.Running, row *report.IdleRow) error {
	start, err := cpu(servers)
	if err != nil {
		return err
	}
	if err := pause(ctx, watch); err != nil {
		return err
	}
	for i, s := range servers {
		u, err := procfs.Read(s.PID)
		if err != nil {
			return err
		}
		row.CPU += u.Since(start[i]).CPU.Seconds() * 1e3 / watch.Seconds()
		row.Processes += u.Processes
		row.Threads += u.Threads
	}
	return nil
}

// active asks on n more connections, once a second on each, beside those that
// are idle, and takes the latencies from the planned moments.
func (c *comparison) active(ctx context.Context, servers []*target.Running, n int, row *report.IdleRow) error {
	if n < leastActive {
		return nil // too few to say anything
	}
	before, err := cpu(servers)
	if err != nil {
		return err
	}
	results := make([]loader.Result, len(servers))
	failures := make([]error, len(servers))
	var all sync.WaitGroup
	for i, s := range servers {
		share := (n + i) / len(servers)
		j := scenario{request: plaintext, connections: share, depth: 1}.job(s.Addr, activeTime, c.load)
		j.Rate = float64(share)
		all.Go(func() { results[i], failures[i] = loader.Probe{}.Run(ctx, j) })
	}
	all.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	var answered, failed int64
	for _, r := range results {
		answered += r.Requests
		failed += r.Errors
	}
	if failed > 0 {
		return fmt.Errorf("%d of the requests beside idle connections failed", failed)
	}
	var used time.Duration
	for i, s := range servers {
		u, err := procfs.Read(s.PID)
		if err != nil {
			return err
		}
		used += u.Since(before[i]).CPU
	}
	merged := loader.Merge(results)
	row.Active, row.ActiveP50, row.ActiveP99 = n, merged.At(50), merged.At(99)
	row.ActiveCPU = float64(used.Nanoseconds()) / 1e3 / float64(answered)
	return nil
}

// activeTime is how long the active connections ask.
const activeTime = 5 * time.Second

// leastActive is the least number of them.
const leastActive = 100

// memory adds up the user memory of servers, and reads the kernel's slabs.
func memory(servers []*target.Running) (user, slab int64, err error) {
	for _, s := range servers {
		m, err := procfs.ReadMemory(s.PID)
		if err != nil {
			return 0, 0, err
		}
		user += m.PSS
	}
	slab, _, err = procfs.Kernel()
	return user, slab, err
}

func cpu(servers []*target.Running) ([]procfs.Usage, error) {
	var list []procfs.Usage
	for _, s := range servers {
		u, err := procfs.Read(s.PID)
		if err != nil {
			return nil, err
		}
		list = append(list, u)
	}
	return list, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
