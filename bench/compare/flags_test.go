package main

import (
	"errors"
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

func TestParsePerf(t *testing.T) {
	for text, want := range map[string]float64{
		"# started on …\n\n4711;;raw_syscalls:sys_enter;1000;100.00;;\n": 4711,
		"<not supported>;;raw_syscalls:sys_enter;0;100.00;;\n":           -1,
		"": -1,
	} {
		if got := parsePerf(text); got != want {
			t.Errorf("%q: %g, want %g", text, got, want)
		}
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
