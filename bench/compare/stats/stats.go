// Package stats condenses rounds of measurements and judges differences. It
// names a winner only if the difference shows in every way of looking at the
// rounds that happen to be there.
package stats

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Confidence is that of every interval.
const Confidence = 0.95

// Least is the smallest difference, as a part, that is worth a winner: two
// starts of the same program differ by as much, through where their memory
// happens to lie.
const Least = 0.03

// Summary is the median of some values and their range. N is 0 if there are none.
type Summary struct {
	N      int     `json:"n"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Summarise condenses values, which it leaves as they are.
func Summarise(values []float64) Summary {
	n := len(values)
	if n == 0 {
		return Summary{}
	}
	v := slices.Sorted(slices.Values(values))
	median := v[n/2]
	if n%2 == 0 {
		median = (v[n/2-1] + v[n/2]) / 2
	}
	return Summary{N: n, Median: median, Min: v[0], Max: v[n-1]}
}

// Spread is the range as a part of the least, 0 for fewer than two values.
func (s Summary) Spread() float64 {
	if s.N < 2 || s.Min <= 0 {
		return 0
	}
	return s.Max/s.Min - 1
}

// Ratio is how two servers compare: the mean of the rounds' ratios (geometric)
// and its confidence interval. Known is false for fewer than two rounds, which
// have no interval.
type Ratio struct {
	N     int     `json:"n"`
	Mean  float64 `json:"mean"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Known bool    `json:"known"`
}

// Ratios compares two series of the same rounds, a to b, by Student's t on the
// logarithms of their ratios. Both hold positive values; a NaN or 0 says that
// the round has none, and it is left out.
func Ratios(a, b []float64) Ratio {
	var logs []float64
	for i := range min(len(a), len(b)) {
		if l := math.Log(a[i] / b[i]); !math.IsNaN(l) && !math.IsInf(l, 0) {
			logs = append(logs, l)
		}
	}
	r := Ratio{N: len(logs)}
	if r.N == 0 {
		return r
	}
	mean := stat.Mean(logs, nil)
	r.Mean = math.Exp(mean)
	r.Low, r.High = r.Mean, r.Mean
	if r.N < 2 {
		return r
	}
	t := distuv.StudentsT{Sigma: 1, Nu: float64(r.N - 1)}.Quantile(1 - (1-Confidence)/2)
	half := t * stat.StdErr(stat.StdDev(logs, nil), float64(r.N))
	r.Low, r.High, r.Known = math.Exp(mean-half), math.Exp(mean+half), true
	return r
}

// Verdict is what a ratio of costs says of the first server.
type Verdict string

// The verdicts.
const (
	Cheaper Verdict = "cheaper"
	Dearer  Verdict = "dearer"
	Noise   Verdict = "within the noise"
)

// Verdict says whether the first is cheaper than the second: only if the whole
// interval is on one side of 1 and the difference is at least Least.
func (r Ratio) Verdict() Verdict {
	switch {
	case !r.Known:
		return Noise
	case r.High < 1 && r.Mean <= 1-Least:
		return Cheaper
	case r.Low > 1 && r.Mean >= 1/(1-Least):
		return Dearer
	}
	return Noise
}

// String is like "0.58 (0.55–0.61)".
func (r Ratio) String() string {
	switch {
	case r.N == 0:
		return "–"
	case !r.Known:
		return fmt.Sprintf("%.2f (one round)", r.Mean)
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", r.Mean, r.Low, r.High)
}

// Winner returns the index of the series with the least cost, if it is cheaper
// than each other beyond the noise; otherwise -1 and those that it cannot be
// told from (the least first).
func Winner(costs [][]float64) (winner int, tied []int) {
	best := -1
	for i, c := range costs {
		if m := Summarise(c); m.N > 0 && (best < 0 || m.Median < Summarise(costs[best]).Median) {
			best = i
		}
	}
	if best < 0 {
		return -1, nil
	}
	tied = []int{best}
	for i, c := range costs {
		if i != best && len(c) > 0 && Ratios(costs[best], c).Verdict() != Cheaper {
			tied = append(tied, i)
		}
	}
	if len(tied) > 1 || len(costs) < 2 {
		return -1, tied
	}
	return best, nil
}
