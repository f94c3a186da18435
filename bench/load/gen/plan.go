package gen

// plan is the schedule of an open loop: planned moments at equal distances,
// of which a worker has each step'th, beginning with its own number.
type plan struct {
	start    int64   // ns
	interval float64 // ns between two planned moments of all workers
	first    int64
	step     int64
	taken    int64 // how many of this worker's have been taken
}

func newPlan(start int64, rate float64, worker, workers int) plan {
	return plan{start: start, interval: 1e9 / rate, first: int64(worker), step: int64(workers)}
}

// at returns the n'th planned moment of this worker.
func (p *plan) at(n int64) int64 {
	return p.start + int64(float64(p.first+n*p.step)*p.interval)
}

// next returns the planned moment that comes next.
func (p *plan) next() int64 { return p.at(p.taken) }

// take takes it.
func (p *plan) take() int64 {
	p.taken++
	return p.at(p.taken - 1)
}

// due returns how many are due at the time now and have not been taken.
func (p *plan) due(now int64) int64 {
	if p.step == 0 {
		return 0 // it has not begun
	}
	n := int64(float64(now-p.start)/p.interval)/p.step + 2 // about
	for n > 0 && p.at(n-1) > now {
		n--
	}
	return max(n-p.taken, 0)
}
