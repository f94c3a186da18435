package main

import (
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/ringcore/ringcore/bench/load/gen"
)

// progress shows a run on a terminal, in one line that disappears at the end.
type progress struct {
	bar   *progressbar.ProgressBar // nil if there is no terminal
	out   io.Writer
	phase string
}

const barSteps = 1000

func newProgress(out io.Writer) *progress {
	p := &progress{out: out}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions(barSteps,
			progressbar.OptionSetWriter(out), progressbar.OptionSetWidth(20), progressbar.OptionSetElapsedTime(false),
			progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish(), progressbar.OptionShowDescriptionAtLineEnd())
	}
	return p
}

// onTick returns what gen.Config.OnTick is to be, nil if nobody looks.
func (p *progress) onTick() func(gen.Progress) {
	if p.bar == nil {
		return nil
	}
	return p.show
}

func (p *progress) show(now gen.Progress) {
	if now.Phase != p.phase {
		p.phase = now.Phase
		p.bar.Reset()
	}
	p.bar.Describe(describe(now))
	_ = p.bar.Set(min(int(barSteps*share(now)), barSteps-1)) // full would be the end
}

// share returns how much of the phase is over, 0 to 1.
func share(p gen.Progress) (s float64) {
	if p.Total > 0 {
		s = p.Elapsed / p.Total
	}
	if p.Count > 0 && p.Phase == "measuring" {
		s = max(s, float64(p.Done)/float64(p.Count))
	}
	return min(max(s, 0), 1)
}

func describe(p gen.Progress) string {
	s := fmt.Sprintf("%s, %d connections", p.Phase, p.Connections)
	if p.RequestsPerS > 0 {
		s += fmt.Sprintf(", %.0f/s", p.RequestsPerS)
	}
	if p.P50Us > 0 {
		s += fmt.Sprintf(", p50 %s, p99 %s", us(p.P50Us), us(p.P99Us))
	}
	if p.Errors > 0 {
		s += fmt.Sprintf(", %d errors", p.Errors)
	}
	return s
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
