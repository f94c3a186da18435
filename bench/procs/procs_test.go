package procs

import (
	"runtime"
	"testing"

	"github.com/ringcore/ringcore/httpcore"
)

func TestSet(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, tc := range []struct {
		had, n, loops int
		how           httpcore.Dispatch
		env           string
		want          int
	}{
		{had: 1, how: httpcore.Adaptive, want: 2},
		{had: 2, loops: 4, how: httpcore.Adaptive, want: 5},
		{had: 8, loops: 4, how: httpcore.Adaptive, want: 8},
		{had: 1, how: httpcore.Pooled, want: 1},
		{had: 1, how: httpcore.Inline, want: 1},
		{had: 1, how: httpcore.Adaptive, env: "1", want: 1},
		{had: 1, n: 2, how: httpcore.Inline, env: "1", want: 2},
	} {
		t.Setenv("GOMAXPROCS", tc.env)
		runtime.GOMAXPROCS(tc.had)
		if Set(tc.n, tc.loops, tc.how); runtime.GOMAXPROCS(0) != tc.want {
			t.Errorf("%+v: GOMAXPROCS is %d", tc, runtime.GOMAXPROCS(0))
		}
	}
}
