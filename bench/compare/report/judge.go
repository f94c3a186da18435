package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ringcore/ringcore/bench/compare/loader"
	"github.com/ringcore/ringcore/bench/compare/stats"
)

// What counts as disturbed or as a limit.
const (
	mostOther   = 0.10 // part of the CPUs that other programs may have
	mostSteal   = 0.02
	mostSpread  = 0.30 // between two rounds of one server
	fullClient  = 0.95 // a load generator this busy has nothing left
	idlerServer = 0.90 // a server this idle was not the limit
	fullServer  = 0.85 // a server this busy keeps requests waiting for its CPU
)

// Judge condenses the rounds of every scenario and says what they show.
func (r *Report) Judge() {
	r.Losses = nil
	if r.Origin != nil && r.Origin.Active != nil {
		r.Origin.Active.judge()
	}
	for _, s := range r.Scenarios {
		s.judge()
		r.Losses = append(r.Losses, s.losses()...)
	}
}

func (s *Scenario) judge() {
	s.Verdicts, s.Notes = nil, nil
	base := s.row(s.Base)
	for _, row := range s.Rows {
		row.condense()
		if base != nil {
			row.ToBase = stats.Ratios(row.costs(), base.costs())
		}
		s.Notes = append(s.Notes, row.notes(s.Waits || s.disturbed())...)
		if s.Waits && row.Busy.Median > fullServer {
			s.Notes = append(s.Notes, fmt.Sprintf("%s: used %.0f %% of its CPU: more was asked for than it can do, so requests wait for the CPU too, the quick ones beside as well", row.Target, 100*row.Busy.Median))
		}
	}
	if note := s.disturbance(); note != "" {
		s.Notes = append([]string{note}, s.Notes...)
	}
	if s.disturbed() {
		s.Verdicts = []string{"The machine was disturbed too much: no winner is named. The ratios are in the table."}
		return
	}
	s.Verdicts = append(s.pairs(), s.winner())
}

// counts returns how many measurements there are, and how many of them other
// programs or the hypervisor disturbed, and by how much at worst.
func (s *Scenario) counts() (all, hit int, other, steal float64) {
	for _, row := range s.Rows {
		for _, round := range row.Rounds {
			all++
			if round.Other > mostOther || round.Steal > mostSteal {
				hit++
			}
			other, steal = max(other, round.Other), max(steal, round.Steal)
		}
	}
	return all, hit, other, steal
}

// disturbed: by more than a chance event.
func (s *Scenario) disturbed() bool {
	all, hit, _, _ := s.counts()
	return hit*3 > all
}

func (s *Scenario) disturbance() string {
	all, hit, other, steal := s.counts()
	if hit == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d measurements were disturbed: other programs had up to %.0f %% of the CPUs, the hypervisor took up to %.0f %%",
		hit, all, 100*other, 100*steal)
}

func (s *Scenario) row(name string) *Row {
	for _, row := range s.Rows {
		if row.Target == name && row.Skipped == "" {
			return row
		}
	}
	return nil
}

// costs are the rounds' CPU times per request, NaN for a round that failed.
func (r *Row) costs() []float64 {
	var v []float64
	for _, round := range r.Rounds {
		if round.Requests == 0 {
			v = append(v, math.NaN())
		} else {
			v = append(v, round.CPU)
		}
	}
	return v
}

func (r *Row) condense() {
	summarise := func(get func(Round) float64) stats.Summary {
		var v []float64
		for _, round := range r.Rounds {
			if round.Requests > 0 {
				v = append(v, get(round))
			}
		}
		return stats.Summarise(v)
	}
	at := func(p float64) func(Round) float64 {
		return func(round Round) float64 { return loader.Result{Curve: round.Curve}.At(p) }
	}
	r.CPU = summarise(func(x Round) float64 { return x.CPU })
	r.PerSecond = summarise(func(x Round) float64 { return x.PerSecond })
	r.P50, r.P99 = summarise(at(50)), summarise(at(99))
	r.QuickP99 = summarise(func(x Round) float64 { return x.QuickP99 })
	r.Switches = summarise(func(x Round) float64 { return x.Switches })
	r.Busy = summarise(func(x Round) float64 { return x.Busy })
	r.Client = summarise(func(x Round) float64 { return x.Client })
	r.Curve = nil
	for _, round := range r.Rounds {
		if round.Requests > 0 {
			for _, p := range round.Curve {
				r.Curve = append(r.Curve, loader.Point{Percentile: p.Percentile, Micros: summarise(at(p.Percentile)).Median})
			}
			break
		}
	}
}

// notes says what is to be known about a row's figures. That a server was idle
// in part says something only if the CPU is what should have limited it.
func (r *Row) notes(waits bool) []string {
	var notes []string
	add := func(format string, args ...any) {
		notes = append(notes, r.Target+": "+fmt.Sprintf(format, args...))
	}
	if r.Skipped != "" {
		add("left out: %s", r.Skipped)
		return notes
	}
	if r.Remark != "" {
		add("%s", r.Remark)
	}
	var with, errors, answers int64
	kinds := ""
	for i, round := range r.Rounds {
		answers += round.Requests
		if round.Failed != "" {
			add("round %d failed: %s", i+1, round.Failed)
		} else if round.Errors > 0 {
			with++
			errors += round.Errors
			kinds = strings.Join(round.Kinds, ", ")
		}
	}
	if with > 0 {
		add("%d errors beside %d answers, in %d of %d rounds (in the last of these: %s)", errors, answers, with, len(r.Rounds), kinds)
	}
	if spread := r.CPU.Spread(); spread > mostSpread {
		add("rounds differ by %.0f %% in CPU per request: trust the ratios only", 100*spread)
	}
	if !waits && r.CPU.N > 0 && r.Busy.Median < idlerServer {
		limit := "the load left it idle in part"
		if r.Client.Median > fullClient {
			limit = "the load generator was the bottleneck"
		}
		add("used %.0f %% of its CPU, %s (client %.0f %%): requests/s say little, CPU per request counts",
			100*r.Busy.Median, limit, 100*r.Client.Median)
	}
	return notes
}

// pairs compares io_uring with epoll in every setting that ran on both.
func (s *Scenario) pairs() []string {
	var lines []string
	for _, row := range s.Rows {
		other := s.row(partner(row.Target))
		if other == nil || row.Skipped != "" {
			continue
		}
		ratio := stats.Ratios(row.costs(), other.costs())
		switch ratio.Verdict() {
		case stats.Cheaper:
			lines = append(lines, fmt.Sprintf("%s costs %s of %s: io_uring wins.", row.Target, ratio, other.Target))
		case stats.Dearer:
			lines = append(lines, fmt.Sprintf("%s costs %s of %s: io_uring loses.", row.Target, ratio, other.Target))
		default:
			lines = append(lines, fmt.Sprintf("%s costs %s of %s: within the noise, no winner.", row.Target, ratio, other.Target))
		}
	}
	return lines
}

// partner is the epoll server that an io_uring server is compared with: that
// of the same dispatch, whatever the tier; "" for others.
func partner(name string) string {
	if !strings.HasPrefix(name, "io_uring") {
		return ""
	}
	name, _, _ = strings.Cut(name, "@")
	return strings.Replace(name, "io_uring", "epoll", 1)
}

// losses lists against whom an io_uring server loses beyond the noise.
func (s *Scenario) losses() []string {
	var lines []string
	if s.disturbed() {
		return nil
	}
	for _, row := range s.Rows {
		if !strings.HasPrefix(row.Target, "io_uring") || row.Skipped != "" {
			continue
		}
		for _, other := range s.Rows {
			if strings.HasPrefix(other.Target, "io_uring") || other.Skipped != "" {
				continue
			}
			if ratio := stats.Ratios(row.costs(), other.costs()); ratio.Verdict() == stats.Dearer {
				lines = append(lines, fmt.Sprintf("%s: %s costs %s of %s.", s.Title, row.Target, ratio, other.Target))
			}
		}
	}
	return lines
}

// winner names the server with the least CPU per request, if there is one.
func (s *Scenario) winner() string {
	var costs [][]float64
	var names []string
	for _, row := range s.Rows {
		if row.CPU.N > 0 {
			costs, names = append(costs, row.costs()), append(names, row.Target)
		}
	}
	best, tied := stats.Winner(costs)
	switch {
	case len(names) < 2:
		return "Nothing to compare."
	case best >= 0:
		return fmt.Sprintf("Least CPU per request of all: %s.", names[best])
	}
	var like []string
	for _, i := range tied {
		like = append(like, names[i])
	}
	slices.Sort(like[1:])
	return fmt.Sprintf("Least CPU per request of all: no winner, %s cannot be told apart within the noise.", strings.Join(like, ", "))
}
