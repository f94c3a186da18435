package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/ringcore/ringcore/bench/compare/pin"
	"github.com/ringcore/ringcore/bench/compare/report"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == holdCommand { // as main does
		os.Exit(hold(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// A whole comparison, as short as a busy machine allows: it measures, writes the three
// reports, and leaves nothing behind in the temporary folder.
func TestCompare(t *testing.T) {
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
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	out := filepath.Join(t.TempDir(), "out")
	o, err := parseFlags([]string{"-drivers", "epoll", "-peers", "fasthttp", "-scenarios", "plaintext64,wait512,idle1k",
		"-rounds", "2", "-time", "500ms", "-out", out}, cpus)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var stdout, progress bytes.Buffer
	if err := compare(ctx, o, &stdout, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	text, err := os.ReadFile(filepath.Join(out, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r report.Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
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
	for _, name := range []string{"report.md", "report.html"} {
		if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Size() < 1000 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(temp, "ringcore-compare-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
