//go:build linux

package gen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/conn"
)

// run is a load in progress.
type run struct {
	cfg     Config
	target  target
	kinds   []kind // as each worker starts with
	engine  *conn.Engine
	workers []*worker
	events  chan event
	ready   int
	done    int
	report  Report
	nudges  []*time.Timer
	watched watch
}

// Run puts the load on that cfg describes and reports what came of it. When
// ctx ends before, the report is about the time until then, and says so. The
// error is one line about what is wrong with cfg, or why the client could not
// run; a server that fails is a matter of the report.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	r := &run{cfg: cfg}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	if err := r.begin(); err != nil {
		return nil, err
	}
	err := r.wait(ctx)
	for _, t := range r.nudges {
		t.Stop()
	}
	cut, cancel := context.WithCancel(context.Background())
	cancel() // everything is measured: what is open still is cut off
	if e := r.engine.Shutdown(cut); e != nil && !errors.Is(e, context.Canceled) {
		err = errors.Join(err, e)
	}
	if err != nil {
		return nil, err
	}
	r.fill()
	return &r.report, nil
}

// prepare checks the configuration and makes the requests.
func (r *run) prepare() (err error) {
	c := &r.cfg
	if err = c.setDefaults(); err != nil {
		return err
	}
	if r.target, err = c.resolve(); err != nil {
		return err
	}
	longest := int64(max(c.Warmup+c.Duration+c.Timeout+maxGrace, time.Minute))
	for i := range c.Requests {
		k, err := newKind(&c.Requests[i], r.target.host, c.Close, longest)
		if err != nil {
			return err
		}
		r.kinds = append(r.kinds, k)
	}
	var limit unix.Rlimit // Go has raised it already
	const others = 64
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil && limit.Cur < uint64(c.Connections+others) {
		return fmt.Errorf("%d connections need as many file descriptors, and %d for other uses: the limit is %d (ulimit -n)", c.Connections, others, limit.Cur)
	}
	return nil
}

// begin starts the loops and has them connect.
func (r *run) begin() error {
	c := &r.cfg
	driver, err := conn.ParseDriver(c.Driver)
	if err != nil {
		return err
	}
	o := conn.Options{Driver: driver, Loops: c.Loops, HighWater: highWater, OpenDriver: c.openDriver}
	if c.MaxTier != "" {
		if o.MaxTier, err = conn.ParseTier(c.MaxTier); err != nil {
			return err
		}
	}
	r.events = make(chan event, 4*c.Loops) // all that a worker says fits
	r.workers = make([]*worker, c.Loops)
	o.Handler = func(l *conn.Loop) conn.Handler {
		w := r.newWorker(l)
		r.workers[l.Index()] = w
		return w
	}
	if r.engine, err = conn.Start(o); err != nil {
		return err
	}
	r.each((*worker).prepare)
	r.tick()
	return nil
}

func (r *run) newWorker(l *conn.Loop) *worker {
	c := &r.cfg
	if c.Rate > 0 {
		// By default a sleep is up to 50 µs too long (PR_SET_TIMERSLACK(2const)).
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1000, 0, 0, 0)
	}
	w := &worker{
		cfg: c, loop: l, number: l.Index(), events: r.events,
		addr:    net.TCPAddrFromAddrPort(r.target.addr),
		kinds:   append([]kind(nil), r.kinds...),
		cycle:   sequence(c.Requests),
		clients: make([]client, share(c.Connections, l.Index(), c.Loops)),
	}
	for i := range w.kinds {
		w.kinds[i].latency = newRecorder(r.kinds[i].latency.longest)
	}
	w.tick.Run = w.ticked
	return w
}

// each runs f for every worker, on its loop.
func (r *run) each(f func(*worker)) {
	for _, w := range r.workers {
		w.loop.Post(&conn.Task{Run: func(*conn.Loop) { f(w) }})
	}
}

// tick posts the workers' ticks, one at a time each.
func (r *run) tick() {
	for _, w := range r.workers {
		if w.ticking.CompareAndSwap(false, true) {
			w.loop.Post(&w.tick)
		}
	}
}

// wait goes through the run until everything is measured.
func (r *run) wait(ctx context.Context) error {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	interrupted := ctx.Done()
	for r.done < len(r.workers) {
		select {
		case <-ticker.C:
			r.tick()
			r.watch()
		case e := <-r.events:
			r.on(e)
		case <-r.engine.Failed():
			return r.engine.Err()
		case <-interrupted:
			r.report.Interrupted = true
			interrupted = nil
			r.each((*worker).stop)
		}
	}
	return nil
}

func (r *run) on(e event) {
	switch e.what {
	case isReady:
		if r.ready++; r.ready == len(r.workers) {
			r.start()
		}
	case isDone:
		r.done++
	case isGone:
		if r.report.Aborted == "" {
			r.report.Aborted = e.err.Error()
			r.each((*worker).stop)
		}
	}
}

// start begins the load, for all workers at the same time.
func (r *run) start() {
	runtime.GC() // what the preparations left shall not be collected meanwhile
	r.each(func(w *worker) {
		if w.phase == joining {
			w.start(w.loop.Now())
		}
	})
	// A loop at rest notices the end of a phase when it is woken.
	for _, d := range []time.Duration{r.cfg.Warmup, r.cfg.Warmup + r.cfg.Duration} {
		r.nudges = append(r.nudges, time.AfterFunc(d+time.Millisecond, func() { r.each(func(*worker) {}) }))
	}
}
