package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ringcore/ringcore/bench/compare/pin"
	"github.com/ringcore/ringcore/bench/compare/procfs"
	"github.com/ringcore/ringcore/bench/compare/report"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == holdCommand { // as main does
		os.Exit(hold(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// prepare returns the options of a run whose temporary files are in a folder
// that is empty now, and is to be afterwards.
func prepare(t *testing.T, flags ...string) (o options, out, temp string) {
	if runtime.GOOS != "linux" {
		t.Skip("compare needs Linux")
	}
	cpus, err := pin.Allowed()
	if err != nil {
		t.Fatal(err)
	}
	if len(cpus) < 2 {
		t.Skip("needs two CPUs")
	}
	temp = t.TempDir()
	t.Setenv("TMPDIR", temp)
	out = filepath.Join(t.TempDir(), "out")
	if o, err = parseFlags(append(flags, "-out", out), cpus); err != nil {
		t.Fatal(err)
	}
	return o, out, temp
}

// readReport reads report.json, and looks whether the others are there and
// whether anything was left behind: files or processes.
func readReport(t *testing.T, out, temp string) *report.Report {
	text, err := os.ReadFile(filepath.Join(out, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	r := new(report.Report)
	if err := json.Unmarshal(text, r); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"report.md", "report.html"} {
		if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Size() < 1000 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(temp, "ringcore-compare-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	tree, err := procfs.Tree(os.Getpid())
	if err != nil || len(tree) > 1 {
		t.Errorf("processes %v are left, %v", tree[1:], err)
	}
	return r
}

// A whole comparison, as short as a busy machine allows: it measures, writes the three
// reports, and leaves nothing behind.
func TestCompare(t *testing.T) {
	o, out, temp := prepare(t, "-drivers", "epoll", "-peers", "fasthttp", "-scenarios", "plaintext64,wait512,idle1k",
		"-rounds", "2", "-time", "500ms")
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var stdout, progress bytes.Buffer
	if err := compare(ctx, o, &stdout, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	r := readReport(t, out, temp)
	if len(r.Scenarios) != 2 || len(r.Idle) != 1 {
		t.Fatalf("%d scenarios, %d idle", len(r.Scenarios), len(r.Idle))
	}
	for _, s := range r.Scenarios {
		for _, row := range s.Rows {
			if row.CPU.N < 1 || row.CPU.Median <= 0 || row.PerSecond.Median <= 0 || row.P99.Median <= 0 || row.Memory <= 0 {
				t.Errorf("%s, %s: %+v", s.Name, row.Target, row)
			}
			if s.Waits && (row.P50.Median < 50_000 || row.QuickP99.Median <= 0) {
				t.Errorf("%s, %s: waited %g µs, quick p99 %g µs", s.Name, row.Target, row.P50.Median, row.QuickP99.Median)
			}
		}
		if s.Base != "epoll" || len(s.Verdicts) == 0 {
			t.Errorf("%s: base %s, verdicts %q", s.Name, s.Base, s.Verdicts)
		}
	}
	for _, row := range r.Idle[0].Rows {
		if row.Held != 1000 || row.PerConn <= 0 {
			t.Errorf("idle, %s: %+v", row.Target, row)
		}
	}
	if r.Interrupted {
		t.Error("nobody interrupted it")
	}
}

// A run that is interrupted in the middle says so, and writes what it has.
func TestInterrupted(t *testing.T) {
	o, out, temp := prepare(t, "-drivers", "epoll", "-peers", "none", "-scenarios", "plaintext64,get10k,idle1k",
		"-rounds", "100", "-time", "200ms")
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var stdout bytes.Buffer
	err := compare(ctx, o, &stdout, onText{"round 2 of 100", cancel})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want that it was interrupted", err)
	}
	r := readReport(t, out, temp)
	if !r.Interrupted || len(r.Scenarios) != 1 || len(r.Scenarios[0].Rows) != 1 || r.Seconds <= 0 {
		t.Fatalf("%+v", r)
	}
	row := r.Scenarios[0].Rows[0]
	answered := 0 // a machine that is very busy answers nothing in a round
	for _, round := range row.Rounds {
		if round.Requests > 0 {
			answered++
		}
	}
	if len(row.Rounds) != 2 || row.CPU.N != answered {
		t.Errorf("%+v", row)
	}
	if !strings.Contains(stdout.String(), report.Interrupted) {
		t.Errorf("it does not say so: %s", &stdout)
	}
}

// onText calls a function when a text is written.
type onText struct {
	text string
	do   func()
}

func (o onText) Write(p []byte) (int, error) {
	if strings.Contains(string(p), o.text) {
		o.do()
	}
	return len(p), nil
}

// When the time of a quick run is up, the rest is left out, and said.
func TestQuickEnds(t *testing.T) {
	o, out, temp := prepare(t, "-drivers", "epoll", "-peers", "none", "-scenarios", "plaintext64,get10k,idle1k")
	c := &comparison{options: o, dir: temp, targets: o.targets(), progress: io.Discard, report: new(report.Report)}
	if err := errors.Join(os.Mkdir(out, 0o755), c.build(t.Context())); err != nil {
		t.Fatal(err)
	}
	c.time = 200 * time.Millisecond
	c.budget.end = time.Now().Add(2 * time.Second) // five rounds of a load and their warm-up take longer
	c.budget.plan = c.budget.end
	if err := errors.Join(c.run(t.Context()), c.write(io.Discard), os.RemoveAll(filepath.Join(temp, "root"))); err != nil {
		t.Fatal(err)
	}
	r := readReport(t, out, temp)
	said := strings.Join(r.Skipped, "; ")
	if len(r.Scenarios) != 1 || r.Interrupted || !strings.Contains(said, "plaintext64, in part") || !strings.Contains(said, "idle1k: ") || r.Seconds > 30 {
		t.Errorf("%d scenarios in %g s; left out %s", len(r.Scenarios), r.Seconds, said)
	}
}
