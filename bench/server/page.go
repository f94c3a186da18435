package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"sync"
	"time"

	"github.com/ringcore/ringcore/httpcore"
	"github.com/valyala/fasthttp"
)

const (
	pageEvery   = time.Second // between two looks at the loops
	pageViewers = 16          // at once: each has a stream of its own
)

//go:embed page.html
var pageHTML []byte

// page shows people how the server does, live. While nobody looks it does
// nothing. Its methods may be called from any goroutine.
type page struct {
	server *httpcore.Server // set before it serves

	mu      sync.Mutex
	viewers map[chan []byte]struct{}
	running bool // the sampler
}

// withPage returns a handler of p's routes. Other paths go to next.
func withPage(p *page, next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		switch string(ctx.Path()) {
		case "/_ringcore":
			ctx.SetContentType("text/html; charset=utf-8")
			ctx.Response.SetBodyRaw(pageHTML)
		case "/_ringcore/events":
			p.events(ctx)
		default:
			next(ctx)
		}
	}
}

// events streams the samples as server-sent events (HTML standard, section 9.2)
// until the client goes or the server drains.
func (p *page) events(ctx *fasthttp.RequestCtx) {
	samples := p.join()
	if samples == nil {
		say(ctx, fasthttp.StatusServiceUnavailable, "enough people look at this page")
		return
	}
	ended := ctx.Done()
	ctx.SetContentType("text/event-stream")
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer p.leave(samples)
		for {
			select {
			case data := <-samples:
				_, _ = w.WriteString("data: ")
				_, _ = w.Write(data)
				_, _ = w.WriteString("\n\n")
				if w.Flush() != nil {
					return
				}
			case <-ended:
				return
			}
		}
	})
}

// join adds a viewer; nil when there are enough.
func (p *page) join() chan []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.viewers) >= pageViewers {
		return nil
	}
	if p.viewers == nil {
		p.viewers = make(map[chan []byte]struct{})
	}
	samples := make(chan []byte, 1)
	p.viewers[samples] = struct{}{}
	if !p.running {
		p.running = true
		go p.sample()
	}
	return samples
}

func (p *page) leave(samples chan []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.viewers, samples)
}

// sample looks at the loops as long as there are viewers.
func (p *page) sample() {
	tick := time.NewTicker(pageEvery)
	defer tick.Stop()
	var before []httpcore.LoopStats
	for at := time.Now(); ; {
		ctx, cancel := context.WithTimeout(context.Background(), pageEvery/2)
		now := p.server.Stats(ctx)
		cancel()
		took := time.Since(at)
		at = at.Add(took)
		if before != nil { // rates need two looks
			data, err := json.Marshal(newSample(p.server.Info(), before, now, took))
			if err == nil && !p.send(data) {
				return
			}
		}
		before = keepCounters(before, now)
		<-tick.C
	}
}

// send gives data to all viewers that have taken the last; false: nobody looks
// any more.
func (p *page) send(data []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.viewers) == 0 {
		p.running = false
		return false
	}
	for v := range p.viewers {
		select {
		case v <- data:
		default: // it is slow, and gets the next one
		}
	}
	return true
}

// keepCounters returns what the next rates are computed from: a loop that was
// busy keeps its older counters.
func keepCounters(before, now []httpcore.LoopStats) []httpcore.LoopStats {
	for i := range now {
		if now[i].Busy && i < len(before) {
			now[i] = before[i]
		}
	}
	return now
}

// sample is what the page gets each time.
type sample struct {
	Driver   string       `json:"driver"`
	Tier     string       `json:"tier,omitempty"`
	Reason   string       `json:"reason,omitempty"`
	Dispatch string       `json:"dispatch"`
	Loops    []loopSample `json:"loops"`
}

type loopSample struct {
	Busy               bool     `json:"busy"` // it did not answer; only the counts that need no answer
	Connections        int      `json:"connections"`
	ResponsesPerS      float64  `json:"responses_per_s"`
	P50                float64  `json:"p50_us"` // 0: no responses
	P99                float64  `json:"p99_us"`
	CompletionsPerTurn *float64 `json:"completions_per_turn"` // null: no turns
	OperationsPerEnter *float64 `json:"operations_per_enter"`
	Buffers            int      `json:"buffers"`
	BuffersInUse       int      `json:"buffers_in_use"`
	TakenOver          uint64   `json:"taken_over"`
}

// newSample tells what has happened between two looks.
func newSample(info httpcore.Info, before, now []httpcore.LoopStats, took time.Duration) sample {
	s := sample{Driver: info.Driver, Tier: info.Tier, Reason: info.Reason, Dispatch: info.Dispatch, Loops: []loopSample{}}
	for i, n := range now {
		l := loopSample{Busy: n.Busy, Connections: n.Conns, TakenOver: n.TakenOver}
		if !n.Busy && i < len(before) {
			b := before[i]
			l.ResponsesPerS = float64(n.Responses-b.Responses) / took.Seconds()
			l.P50, l.P99 = float64(n.P50)/1e3, float64(n.P99)/1e3
			l.CompletionsPerTurn = quotient(n.Completed-b.Completed, n.Turns-b.Turns)
			l.OperationsPerEnter = quotient(n.Submitted-b.Submitted, n.Enters-b.Enters)
			l.Buffers, l.BuffersInUse = n.Buffers, n.BuffersInUse
		}
		s.Loops = append(s.Loops, l)
	}
	return s
}

func quotient(a, b uint64) *float64 {
	if b == 0 {
		return nil
	}
	q := float64(a) / float64(b)
	return &q
}
