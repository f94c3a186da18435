package httpcore

import (
	"context"
	"time"

	"github.com/ringcore/ringcore/conn"
)

// stats asks all loops at once.
func (b *loopBackend) stats(ctx context.Context) []LoopStats {
	type answer struct {
		loop  int
		stats LoopStats
	}
	loops := b.engine.Loops()
	answers := make(chan answer, len(loops))
	for i, l := range loops {
		p := b.protocolOf(l)
		l.Post(&conn.Task{Run: func(l *conn.Loop) { answers <- answer{i, p.stats(l)} }})
	}
	all := make([]LoopStats, len(loops))
	for i, l := range loops {
		all[i] = LoopStats{Busy: true, Conns: l.Conns(), TakenOver: l.TakenOver()}
	}
	for range loops {
		select {
		case a := <-answers:
			all[a.loop] = a.stats
		case <-ctx.Done():
			return all
		}
	}
	return all
}

// protocolOf returns the protocol of a loop, which has made it before it served.
func (b *loopBackend) protocolOf(l *conn.Loop) *protocol {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.protocols {
		if p.loop == l {
			return p
		}
	}
	return nil
}

// stats runs on the loop.
func (p *protocol) stats(l *conn.Loop) LoopStats {
	c := l.Stats()
	s := LoopStats{
		Conns: c.Conns, Responses: p.responses, Turns: c.Turns,
		Enters: c.Enters, Submitted: c.Submitted, Completed: c.Completed,
		Buffers: c.Buffers, BuffersInUse: c.BuffersInUse, TakenOver: c.TakenOver,
	}
	if p.pool != nil {
		s.Refused = p.pool.refused
	}
	if t := p.times; t != nil {
		s.P50, s.P99 = t.percentile(0.5), t.percentile(0.99)
	}
	p.times = &times{until: time.Now().Add(watchFor)}
	return s
}

// noteTime measures a response that was just given out.
func (p *protocol) noteTime(x *exchange) {
	now := time.Now()
	if now.After(p.times.until) {
		p.times = nil
		return
	}
	p.times.note(now.Sub(x.ctx.Time()))
}
