package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/ringcore/ringcore/bench/compare/loader"
	"github.com/ringcore/ringcore/bench/compare/procfs"
	"github.com/ringcore/ringcore/bench/compare/report"
	"github.com/ringcore/ringcore/bench/compare/target"
)

// comparison is one run. Everything in it happens one after the other.
type comparison struct {
	options
	dir      string // temporary
	env      target.Env
	loader   loader.Loader
	targets  []target.Target
	counts   bool // system calls are counted
	progress io.Writer
	report   *report.Report
	pace     pace
	budget   budget
	around   []time.Duration // what measurements took beside their time
}

// errLate ends what is under way when the time of a -quick run is up.
var errLate = errors.New("the time of a quick run was up")

// late says that a -quick run has no time left.
func (c *comparison) late() bool { return c.budget.limited() && time.Now().After(c.budget.end) }

// run measures everything. An error of one server in one scenario is part of
// the report; the error returned is one that ends the run, and the report holds
// what was measured until then.
func (c *comparison) run(ctx context.Context) error {
	began := time.Now()
	r := c.report
	r.Started = began
	r.Machine = report.Machine{
		Kernel: procfs.Release(), Processor: procfs.Model(), Memory: procfs.MemoryTotal(), Go: runtime.Version(),
		ServerCPU: c.server, LoadCPU: c.load,
	}
	r.Settings = report.Settings{Quick: c.quick, Rounds: c.rounds, Seconds: c.time.Seconds(), Loader: c.loader.Name()}
	defer func() {
		if note := c.pace.note(); note != "" {
			r.Notes = append(r.Notes, note)
		}
		r.Seconds = time.Since(began).Seconds()
		r.Judge()
	}()
	if why := c.noCalls(ctx); why != "" {
		r.Notes = append(r.Notes, why)
	} else {
		c.counts = true
	}
	c.choose()
	within := ctx
	if c.budget.limited() {
		var cancel context.CancelFunc
		within, cancel = context.WithDeadlineCause(ctx, c.budget.end, errLate)
		defer cancel()
	}
	for i, name := range c.scenarios {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.late() {
			r.Skipped = append(r.Skipped, name+": "+errLate.Error())
			continue
		}
		c.fit(i)
		if err := c.one(within, name); errors.Is(context.Cause(within), errLate) && ctx.Err() == nil {
			r.Skipped = append(r.Skipped, name+", in part: "+errLate.Error())
		} else if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// one runs the scenario of a name.
func (c *comparison) one(ctx context.Context, name string) error {
	switch n := idleScenarios[name]; {
	case n > 0:
		out := &report.Idle{Connections: n}
		c.report.Idle = append(c.report.Idle, out)
		return c.idle(ctx, out, c.targets)
	case name == originScenario:
		return c.origin(ctx)
	}
	s, _ := findScenario(name)
	out := new(report.Scenario)
	c.report.Scenarios = append(c.report.Scenarios, out)
	return c.scenario(ctx, s, out, c.targets)
}

// fit sets the length of the measurements of the i-th scenario of a -quick run.
func (c *comparison) fit(i int) {
	if !c.budget.limited() || c.fixed {
		return
	}
	loads, idles := 0, 0
	for _, name := range c.scenarios[i:] {
		if _, ok := findScenario(name); ok {
			loads++
		} else {
			idles++
		}
	}
	around := aroundCost
	if n := len(c.around); n > 0 {
		around = slices.Sorted(slices.Values(c.around))[n/2]
	}
	d := c.budget.fit(time.Now(), loads, idles, len(c.targets), c.rounds, around)
	c.time = max(c.loader.Least(), d)
	c.report.Settings.Seconds = max(c.report.Settings.Seconds, c.time.Seconds())
}

// choose leaves out the servers that are not installed.
func (c *comparison) choose() {
	var there []target.Target
	for _, t := range c.targets {
		if why := t.Missing(); why != "" {
			c.report.Skipped = append(c.report.Skipped, t.Name+": "+why)
			continue
		}
		there = append(there, t)
		c.report.Targets = append(c.report.Targets, report.Target{Name: t.Name, What: t.What, Ours: t.Ours})
	}
	c.targets = there
}

// say tells people what happens.
func (c *comparison) say(format string, args ...any) {
	fmt.Fprintf(c.progress, format+"\n", args...)
}

// scenario measures one load on servers: all are up, and take turns.
func (c *comparison) scenario(ctx context.Context, s scenario, out *report.Scenario, targets []target.Target) error {
	out.Name, out.Title, out.Connections, out.Waits, out.Seconds = s.name, s.title, s.connections, s.waits, c.time.Seconds()
	servers := make([]*target.Running, len(targets))
	defer func() {
		for i, server := range servers {
			if server != nil {
				if m, err := procfs.ReadMemory(server.PID); err == nil {
					out.Rows[i].Memory = m.PSS
				}
			}
		}
		stopAll(servers)
		out.Base = base(out.Rows)
	}()
	for i, t := range targets {
		row := &report.Row{Target: t.Name, Calls: -1}
		out.Rows = append(out.Rows, row)
		server, why := c.ready(ctx, s, t)
		if err := ctx.Err(); err != nil {
			row.Skipped = "not reached"
			return err
		}
		if why != "" {
			row.Skipped = why
			continue
		}
		servers[i] = server
		c.report.SetStart(t.Name, server.StartLine())
		if t.Forks && s.connections > t.Workers {
			row.Remark = fmt.Sprintf("its %d processes serve as many of the %d connections; the others wait in its queue all the time", t.Workers, s.connections)
		}
		if err := c.warm(ctx, s, server, row); err != nil {
			return err
		}
	}
	for round := range c.rounds {
		for i := range servers {
			at := (i + round) % len(servers) // nobody always follows the same one
			if servers[at] == nil {
				continue
			}
			if err := c.round(ctx, s, servers[at], out.Rows[at], round); err != nil {
				return err
			}
		}
	}
	return nil
}

// stopAll ends the servers that run, all at once.
func stopAll(servers []*target.Running) {
	var all sync.WaitGroup
	for _, s := range servers {
		if s != nil {
			all.Go(s.Stop)
		}
	}
	all.Wait()
}

// ready starts a server and checks what it answers, or says why not.
func (c *comparison) ready(ctx context.Context, s scenario, t target.Target) (*target.Running, string) {
	if s.waits && t.Blocks {
		return nil, "its handlers must never wait"
	}
	if t.Workers > 0 && s.connections > t.Workers+target.Backlog {
		return nil, fmt.Sprintf("more connections than its %d workers and its queue of %d take; the chapter on the origin shows what happens",
			t.Workers, target.Backlog)
	}
	server, err := target.Start(ctx, t, c.env)
	if err != nil {
		return nil, err.Error()
	}
	if err := server.Check(ctx, s.request); err != nil {
		server.Stop()
		return nil, err.Error()
	}
	return server, ""
}

// warm puts load on a server without measuring its time; system calls are
// counted meanwhile.
func (c *comparison) warm(ctx context.Context, s scenario, server *target.Running, row *report.Row) error {
	c.say("%s: %s warms up", s.name, server.Name)
	d := max(c.loader.Least(), c.time/2)
	if c.counts {
		calls, err := c.calls(ctx, s, server, d)
		if err == nil {
			row.Calls = calls
		}
		return ctx.Err()
	}
	_, _ = c.loader.Run(ctx, s.job(server.Addr, d, c.load)) // the rounds will say what fails
	return ctx.Err()
}

func (c *comparison) round(ctx context.Context, s scenario, server *target.Running, row *report.Row, round int) error {
	if err := c.pace.take(c.server[0]); err != nil {
		return err
	}
	began := time.Now()
	m, err := c.measure(ctx, s, server, c.time)
	if ctx.Err() != nil { // what was cut off says nothing
		return ctx.Err()
	}
	if err != nil {
		m = report.Round{Failed: err.Error()}
		if words, ended := server.Ended(); ended {
			m.Failed = "the server has ended: " + words
		}
	}
	row.Rounds = append(row.Rounds, m)
	c.around = append(c.around, time.Since(began)-c.time)
	c.say("%s: round %d of %d, %s: %.2f µs/request, %.0f requests/s", s.name, round+1, c.rounds, server.Name, m.CPU, m.PerSecond)
	return nil
}

// base is the server that ratios are to: our epoll if it runs, else the first.
func base(rows []*report.Row) string {
	first := ""
	for _, row := range rows {
		if row.Skipped != "" {
			continue
		}
		if row.Target == "epoll" {
			return row.Target
		}
		if first == "" {
			first = row.Target
		}
	}
	return first
}
