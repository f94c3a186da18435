//go:build linux

package gen

import (
	"strconv"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// saturated is the share of a CPU above which the client is taken for the
// bottleneck.
const saturated = 0.95

// fill makes the report. The loops have ended: nobody else looks at the workers.
func (r *run) fill() {
	c, p := &r.cfg, &r.report
	kind, _ := r.engine.Driver()
	*p = Report{
		Format: FormatVersion, Target: r.target.url, Driver: kind.String(), Loops: c.Loops,
		Connections: c.Connections, Pipelining: c.Pipelining, KeepAlive: !c.Close, Mode: "closed", Rate: c.Rate,
		Statuses: map[string]int64{}, Errors: map[string]int64{}, WarmupErrors: map[string]int64{},
		ClientWait: -1, Interrupted: p.Interrupted, Aborted: p.Aborted,
	}
	if kind.String() == "io_uring" {
		p.Tier = r.engine.Tier().String()
	}
	if c.Rate > 0 {
		p.Mode = "open"
	}
	for _, w := range r.workers {
		r.addWorker(w)
	}
	all := hdrhistogram.New(1, r.kinds[0].latency.longest, 3)
	for i := range c.Requests {
		q := &c.Requests[i]
		part := Part{Name: q.name(), Method: q.method(), Path: q.path(), Weight: max(q.Weight, 1), RequestBytes: len(r.kinds[i].wire)}
		h := r.workers[0].kinds[i].latency.h
		for n, w := range r.workers {
			part.Requests += w.measured.requests[i]
			if n > 0 {
				h.Merge(w.kinds[i].latency.h)
			}
		}
		part.LatencyUs = latencyOf(h)
		all.Merge(h)
		p.Mix = append(p.Mix, part)
		p.Requests += part.Requests
	}
	p.LatencyUs = latencyOf(all)
	if c.Curve {
		p.LatencyCurve = curveOf(all)
	}
	if p.DurationS > 0 {
		p.ResponsesPerS = float64(p.Requests) / p.DurationS
	}
	first := r.workers[0]
	if p.Requests > 0 {
		p.ClientCPUUsPerRequest = float64(first.after.process-first.before.process) / 1e3 / float64(p.Requests)
	}
	p.ClientSaturated = p.ClientCPU > saturated
}

// addWorker adds what one worker has counted.
func (r *run) addWorker(w *worker) {
	p, m := &r.report, &w.measured
	p.WarmupS = max(p.WarmupS, float64(w.before.at-w.startedAt)/1e9)
	p.DurationS = max(p.DurationS, float64(w.after.at-w.before.at)/1e9)
	if p.FromUnixUs == 0 || w.before.unix < p.FromUnixUs {
		p.FromUnixUs = w.before.unix
	}
	p.ToUnixUs = max(p.ToUnixUs, w.after.unix)
	if ran, waited := shares(w.before, w.after); ran >= p.ClientCPU {
		p.ClientCPU, p.ClientWait = ran, waited
	}
	p.Bytes += m.bytes
	p.BytesSent += m.sent
	p.Connects += m.connects
	p.Reconnects += m.reconnects
	p.Unanswered += m.unanswered
	p.Unsent += m.unsent
	for status, n := range m.statuses {
		if n > 0 {
			p.Statuses[strconv.Itoa(status)] += n
		}
	}
	addErrors(p.Errors, &m.errors)
	addErrors(p.WarmupErrors, &m.warmup)
}

func addErrors(to map[string]int64, from *[errorKinds]int64) {
	for kind, n := range from {
		if n > 0 {
			to[errorNames[kind]] += n
		}
	}
}
