package main

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestFlags(t *testing.T) {
	cpus := []int{0, 1, 2}
	o, err := parseFlags([]string{"-quick"}, cpus)
	if err != nil || o.rounds != 3 || o.time != 0 || !reflect.DeepEqual(o.peers, []string{"fasthttp"}) ||
		!reflect.DeepEqual(o.server, []int{0}) || !reflect.DeepEqual(o.load, []int{1, 2}) {
		t.Errorf("-quick: %+v, %v", o, err)
	}
	o, err = parseFlags(nil, cpus)
	if err != nil || o.rounds != 5 || o.time != 2*time.Second || len(o.peers) != len(peerNames()) || len(o.scenarios) < 10 {
		t.Errorf("no flags: %+v, %v", o, err)
	}
	o, err = parseFlags([]string{"-drivers", "io_uring,epoll", "-dispatch", "adaptive,inline", "-tiers", "best,6.0", "-peers", "node,fasthttp", "-cpus", "2/0,1"}, cpus)
	var names []string
	for _, target := range o.targets() {
		names = append(names, target.Name)
	}
	const want = "io_uring io_uring@6.0 io_uring-inline io_uring-inline@6.0 epoll epoll-inline fasthttp node"
	if got := strings.Join(names, " "); err != nil || got != want || !reflect.DeepEqual(o.server, []int{2}) {
		t.Errorf("targets %s, want %s; %v", got, want, err)
	}
	if _, err := parseFlags([]string{"-h"}, cpus); !errors.Is(err, errHelp) {
		t.Errorf("-h: %v", err)
	}
	for _, bad := range [][]string{
		{"x"}, {"-rounds", "-1"}, {"-rounds", "101"}, {"-drivers", "iouring"}, {"-peers", "iis"}, {"-scenarios", ""},
		{"-drivers", "none", "-peers", "none"}, {"-cpus", "0"}, {"-cpus", "0/9"}, {"-time", "2h"}, {"-loader", "ab"}, {"-tiers", "5.10"},
	} {
		if _, err := parseFlags(bad, cpus); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if _, err := parseFlags(nil, []int{0}); err == nil {
		t.Error("one CPU was enough")
	}
}

// Every scenario can be found by its name, and asks what has an answer.
func TestScenarios(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scenarios {
		found, ok := findScenario(s.name)
		if !ok || found.depth < 1 || found.connections < 1 || len(found.request.Want) == 0 || seen[s.name] {
			t.Errorf("%+v", found)
		}
		seen[s.name] = true
	}
	for _, quick := range []bool{true, false} {
		for _, name := range defaultScenarios(quick) {
			if _, ok := findScenario(name); !ok && idleScenarios[name] == 0 && name != originScenario {
				t.Errorf("%s is no scenario", name)
			}
		}
	}
}

// Only the intervals between two moments count.
func TestParsePerf(t *testing.T) {
	const text = "# started on …\n\n     0.050;900;;raw_syscalls:sys_enter;1;100.00;;\n     0.100;50;;raw_syscalls:sys_enter;1;100.00;;\n" +
		"     0.150;<not counted>;;raw_syscalls:sys_enter;0;100.00;;\n     0.200;30;;raw_syscalls:sys_enter;1;100.00;;\n     0.230;7;;raw_syscalls:sys_enter;1;100.00;;\n"
	for _, c := range []struct {
		from, to int // ms
		want     float64
	}{{0, 1000, 987 / 0.23}, {50, 200, 80 / 0.15}, {40, 160, 50 / 0.1}, {60, 80, -1}} {
		got := parsePerf(text).perSecond(time.Duration(c.from)*time.Millisecond, time.Duration(c.to)*time.Millisecond)
		if math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%d to %d ms: %g calls/s, want %g", c.from, c.to, got, c.want)
		}
	}
	for _, none := range []string{"", "     0.050;<not supported>;;raw_syscalls:sys_enter;0;100.00;;\n"} {
		if got := parsePerf(none); len(got) > 0 {
			t.Errorf("%q: %v", none, got)
		}
	}
}

// A quick run that falls behind its plan measures for a shorter time, and one
// whose programs were compiled first has its time all the same.
func TestBudget(t *testing.T) {
	began := time.Unix(1000, 0)
	b := newBudget(began, began.Add(3*time.Second))
	early := b.fit(began.Add(3*time.Second), 3, 1, 3, 3, 400*time.Millisecond)
	late := b.fit(began.Add(20*time.Second), 3, 1, 3, 3, 400*time.Millisecond)
	if early < 300*time.Millisecond || early > 800*time.Millisecond || late >= early || b.fit(began.Add(50*time.Second), 3, 1, 3, 3, 0) > 0 {
		t.Errorf("%v, then %v", early, late)
	}
	// three loads of three servers, and the idle connections, as planned
	if all := 36*(early+400*time.Millisecond) + 9*startCost + 3*idleCost; all > quickPlan-2*time.Second {
		t.Errorf("%v a measurement: %v in all", early, all)
	}
	if b.fit(began, 1, 0, 1, 1, 0) != longest || b.fit(began, 0, 1, 3, 3, 0) != 0 {
		t.Error("little to measure, or nothing")
	}
	if cold := newBudget(began, began.Add(2*time.Minute)); cold.end.Sub(began) != 2*time.Minute+quickEnd-quickBuild {
		t.Errorf("compiled first: until %v", cold.end.Sub(began))
	}
	if (budget{}).limited() || !b.limited() {
		t.Error("limits")
	}
}

func TestPace(t *testing.T) {
	p := pace{took: []time.Duration{100, 105}}
	if p.note() != "" {
		t.Error("5 % is no change of pace")
	}
	if p.took = append(p.took, 111); p.note() == "" {
		t.Error("11 % went unsaid")
	}
	if (&pace{}).note() != "" {
		t.Error("nothing was taken and something said")
	}
}
