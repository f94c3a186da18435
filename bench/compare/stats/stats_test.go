package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestSummarise(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want Summary
	}{
		{nil, Summary{}},
		{[]float64{7}, Summary{1, 7, 7, 7}},
		{[]float64{3, 1, 2}, Summary{3, 2, 1, 3}},
		{[]float64{4, 1, 3, 2}, Summary{4, 2.5, 1, 4}},
	} {
		if got := Summarise(c.in); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.in, got, c.want)
		}
	}
	if s := Summarise([]float64{2, 3}).Spread(); s != 0.5 {
		t.Errorf("spread %v, want 0.5", s)
	}
}

func TestRatios(t *testing.T) {
	// logs of the ratios: -ln 2 twice and -ln 2 ± ln 1.1; t(0.975, 3) = 3.18245
	r := Ratios([]float64{1, 2, 1.1, 1}, []float64{2, 4, 2, 2.2})
	half := 3.18245 * math.Log(1.1) * math.Sqrt(2.0/3) / 2
	if math.Abs(r.Mean-0.5) > 1e-9 || math.Abs(r.Low-0.5*math.Exp(-half)) > 1e-5 ||
		math.Abs(r.High-0.5*math.Exp(half)) > 1e-5 || !r.Known || r.N != 4 {
		t.Errorf("%+v, half width %v", r, half)
	}
	if r := Ratios([]float64{1, 0, 2}, []float64{2, 1, math.NaN()}); r.N != 1 || r.Known || r.Mean != 0.5 {
		t.Errorf("rounds without a value: %+v", r)
	}
	if r := Ratios(nil, []float64{1}); r.N != 0 || r.String() != "–" {
		t.Errorf("no rounds: %+v", r)
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		a, b []float64
		want Verdict
	}{
		{[]float64{5, 5.1, 4.9}, []float64{10, 10, 10}, Cheaper},
		{[]float64{10, 10, 10}, []float64{5, 5.1, 4.9}, Dearer},
		{[]float64{5}, []float64{10}, Noise},                              // one round proves nothing
		{[]float64{5, 12, 7}, []float64{10, 10, 10}, Noise},               // rounds disagree
		{[]float64{9.9, 9.9, 9.9}, []float64{10, 10, 10}, Noise},          // steady, and too small
		{[]float64{10, 20, 5}, []float64{20, 40, 10}, Cheaper},            // a machine that changes its pace
		{[]float64{10, 10, 10}, []float64{9.9, 9.9, 9.9}, Noise},          //
		{[]float64{1, 1, 1, 1, 1}, []float64{1.1, 1.1, 1.1, 1, 1}, Noise}, //
	} {
		if got := Ratios(c.a, c.b).Verdict(); got != c.want {
			t.Errorf("%v to %v: %s, want %s", c.a, c.b, got, c.want)
		}
	}
}

func TestWinner(t *testing.T) {
	fast, slow, near := []float64{5, 5.1, 4.9}, []float64{10, 10, 10}, []float64{5, 5.2, 4.9}
	if w, tied := Winner([][]float64{slow, fast, nil}); w != 1 || tied != nil {
		t.Errorf("winner %d, tied %v", w, tied)
	}
	if w, tied := Winner([][]float64{slow, near, fast}); w != -1 || len(tied) != 2 {
		t.Errorf("winner %d, tied %v: two are alike", w, tied)
	}
	if w, _ := Winner([][]float64{fast}); w != -1 {
		t.Error("one alone has won")
	}
	if w, tied := Winner(nil); w != -1 || tied != nil {
		t.Errorf("nobody: %d, %v", w, tied)
	}
}

// Two servers that are alike but for noise get a winner about as rarely as the
// confidence promises.
func TestNoFalseWinners(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const runs = 2000
	wrong := 0
	for range runs {
		a, b := make([]float64, 5), make([]float64, 5)
		for i := range a {
			a[i], b[i] = 10*math.Exp(0.05*rng.NormFloat64()), 10*math.Exp(0.05*rng.NormFloat64())
		}
		if Ratios(a, b).Verdict() != Noise {
			wrong++
		}
	}
	if part := float64(wrong) / runs; part > 0.07 {
		t.Errorf("%.1f %% false winners, want 5 or fewer", 100*part)
	}
}
