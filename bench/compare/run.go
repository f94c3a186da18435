package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
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
	end      time.Time // of a -quick run; zero for none
}

// late says that a -quick run has no time left.
func (c *comparison) late() bool { return !c.end.IsZero() && time.Now().After(c.end) }

// quickBudget is what a -quick run takes at most, with a reserve to 60 s.
const quickBudget = 45 * time.Second

// quickEnd is when a -quick run that is slower than planned leaves out what is left.
const quickEnd = 55 * time.Second

// run measures everything. An error of one server in one scenario is part of
// the report; the error returned is one that ends the run.
func (c *comparison) run(ctx context.Context) error {
	began := time.Now()
	r := c.report
	r.Started = began
	r.Machine = report.Machine{
		Kernel: procfs.Release(), Processor: procfs.Model(), Memory: procfs.MemoryTotal(), Go: runtime.Version(),
		ServerCPU: c.server, LoadCPU: c.load,
	}
	if why := callCounter(ctx); why != "" {
		r.Notes = append(r.Notes, why)
	} else {
		c.counts = true
	}
	c.choose()
	if c.quick {
		c.end = began.Add(quickEnd)
	}
	if c.time == 0 {
		c.time = c.fit()
	}
	r.Settings = report.Settings{Quick: c.quick, Rounds: c.rounds, Seconds: c.time.Seconds(), Loader: c.loader.Name()}
	for _, name := range c.scenarios {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.late() {
			r.Skipped = append(r.Skipped, name+": the time of a quick run was up")
			continue
		}
		var err error
		switch n := idleScenarios[name]; {
		case n > 0:
			err = c.idle(ctx, n)
		case name == originScenario:
			err = c.origin(ctx)
		default:
			s, _ := findScenario(name)
			err = c.scenario(ctx, s)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if note := c.pace.note(); note != "" {
		r.Notes = append(r.Notes, note)
	}
	r.Seconds = time.Since(began).Seconds()
	r.Judge()
	return nil
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

// fit returns the length of a measurement with which a quick run stays within
// its budget.
func (c *comparison) fit() time.Duration {
	const start = 400 * time.Millisecond // a server's start, check, end, the calibration
	timed, fixed := 0, time.Duration(0)
	for _, name := range c.scenarios {
		if _, ok := findScenario(name); !ok {
			fixed += time.Duration(len(c.targets)) * 3 * time.Second
			continue
		}
		timed += len(c.targets) * (c.rounds + 1) // one to warm up and to count system calls
		fixed += time.Duration(len(c.targets)) * start
	}
	d := (quickBudget - fixed) / time.Duration(max(1, timed))
	return max(c.loader.Least(), min(d.Round(50*time.Millisecond), 2*time.Second))
}

// say tells people what happens.
func (c *comparison) say(format string, args ...any) {
	fmt.Fprintf(c.progress, format+"\n", args...)
}

// scenario measures one load on all servers: all are up, and take turns.
func (c *comparison) scenario(ctx context.Context, s scenario) error {
	out := &report.Scenario{Name: s.name, Title: s.title, Connections: s.connections, Waits: s.waits}
	c.report.Scenarios = append(c.report.Scenarios, out)
	servers := make([]*target.Running, len(c.targets))
	defer func() {
		for _, server := range servers {
			if server != nil {
				server.Stop()
			}
		}
	}()
	for i, t := range c.targets {
		row := &report.Row{Target: t.Name, Calls: -1}
		out.Rows = append(out.Rows, row)
		if c.late() {
			row.Skipped = "the time of a quick run was up"
			continue
		}
		server, why := c.ready(s, t)
		if why != "" {
			row.Skipped = why
			continue
		}
		servers[i] = server
		c.report.Targets[i].Start = server.StartLine()
		if err := c.warm(ctx, s, server, row); err != nil {
			return err
		}
	}
	out.Base = base(out.Rows)
	for round := range c.rounds {
		for i := range servers {
			at := (i + round) % len(servers) // nobody always follows the same one
			if servers[at] == nil || c.late() {
				continue
			}
			if err := c.round(ctx, s, servers[at], out.Rows[at], round); err != nil {
				return err
			}
		}
	}
	for i, server := range servers {
		if server != nil {
			if m, err := procfs.ReadMemory(server.PID); err == nil {
				out.Rows[i].Memory = m.PSS
			}
		}
	}
	return nil
}

// ready starts a server and checks what it answers, or says why not.
func (c *comparison) ready(s scenario, t target.Target) (*target.Running, string) {
	if s.waits && t.Blocks {
		return nil, "its handlers must never wait"
	}
	if t.Workers > 0 && s.connections > t.Workers+target.Backlog {
		return nil, fmt.Sprintf("more connections than its %d workers and its queue of %d take; the chapter on the origin shows what happens",
			t.Workers, target.Backlog)
	}
	server, err := target.Start(t, c.env)
	if err != nil {
		return nil, err.Error()
	}
	if err := server.Check(s.request); err != nil {
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
	m, err := c.measure(ctx, s, server, c.time)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		m = report.Round{Failed: err.Error()}
		if words, ended := server.Ended(); ended {
			m.Failed = "the server has ended: " + words
		}
	}
	row.Rounds = append(row.Rounds, m)
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
