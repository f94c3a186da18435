//go:build linux

package gen

// snapshot is what a worker shows of itself.
type snapshot struct {
	phase    phase
	at       int64 // ns, the loop's clock
	since    int64 // ns since the phase began
	requests int64
	errors   int64
	conns    int
	p50, p99 int64 // ns
}

// show leaves a snapshot for whoever watches.
func (w *worker) show(now int64) {
	defer w.ticking.Store(false)
	if w.cfg.OnTick == nil {
		return
	}
	s := snapshot{phase: w.phase, at: now, since: now - w.startedAt, conns: w.dial.up}
	if w.phase >= measuring {
		s.since = now - w.before.at
	}
	for i := range w.kinds {
		s.requests += w.kinds[i].requests
	}
	if w.phase == measuring && len(w.kinds) == 1 {
		p := w.kinds[0].latency.h.ValueAtPercentilesSlice([]float64{50, 99})
		s.p50, s.p99 = p[0], p[1]
	}
	for k := range w.count.errors {
		s.errors += w.count.errors[k] + w.measured.warmup[k]
	}
	w.mu.Lock()
	w.seen = s
	w.mu.Unlock()
}

// watch is what the last Progress was made of.
type watch struct {
	at       int64
	requests int64
	phase    phase
	rate     float64
}

// watch tells Config.OnTick of the workers' last snapshots.
func (r *run) watch() {
	if r.cfg.OnTick == nil {
		return
	}
	var all snapshot
	for i, w := range r.workers {
		w.mu.Lock()
		s := w.seen
		w.mu.Unlock()
		if i == 0 {
			all.phase, all.at, all.since = s.phase, s.at, s.since
		}
		all.requests += s.requests
		all.errors += s.errors
		all.conns += s.conns
		all.p50, all.p99 = max(all.p50, s.p50), max(all.p99, s.p99)
	}
	p := Progress{
		Phase: phaseNames[all.phase], Elapsed: float64(all.since) / 1e9, Done: all.requests, Count: r.cfg.Count,
		Connections: all.conns, Errors: all.errors, P50Us: float64(all.p50) / 1e3, P99Us: float64(all.p99) / 1e3,
	}
	switch all.phase {
	case warming:
		p.Total = r.cfg.Warmup.Seconds()
	case measuring:
		p.Total = r.cfg.Duration.Seconds()
	}
	last := &r.watched
	switch { // two looks may find the same snapshot
	case all.phase != last.phase:
		*last = watch{at: all.at, requests: all.requests, phase: all.phase}
	case all.at > last.at:
		rate := float64(all.requests-last.requests) / (float64(all.at-last.at) / 1e9)
		*last = watch{at: all.at, requests: all.requests, phase: all.phase, rate: rate}
	}
	p.RequestsPerS = last.rate
	r.cfg.OnTick(p)
}
