package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ringcore/ringcore/bench/compare/procfs"
	"github.com/ringcore/ringcore/bench/compare/target"
)

// callCounter says why system calls cannot be counted here, "" if they can:
// it takes perf and the right to trace.
func callCounter(ctx context.Context) string {
	perf, err := exec.LookPath("perf")
	if err != nil {
		return "system calls are not counted: perf is not installed (Debian package linux-perf)"
	}
	out, err := exec.CommandContext(ctx, perf, "stat", "-x", ";", "-e", "raw_syscalls:sys_enter", "true").CombinedOutput()
	if err != nil || parsePerf(string(out)) <= 0 {
		return "system calls are not counted: perf may not trace them here"
	}
	return ""
}

// calls measures the server's system calls per request in a short round of
// its own, since counting them costs time.
func (c *comparison) calls(ctx context.Context, s scenario, server *target.Running, d time.Duration) (float64, error) {
	tree, err := procfs.Tree(server.PID)
	if err != nil {
		return -1, err
	}
	var pids []string
	for _, pid := range tree {
		pids = append(pids, strconv.Itoa(pid))
	}
	file := filepath.Join(c.dir, "perf")
	perf := exec.CommandContext(ctx, "perf", "stat", "-x", ";", "-e", "raw_syscalls:sys_enter", "-o", file, "-p", strings.Join(pids, ","))
	if err := perf.Start(); err != nil {
		return -1, err
	}
	res, failed := c.loader.Run(ctx, s.job(server.Addr, d, c.load))
	_ = perf.Process.Signal(os.Interrupt) // it writes its counts and ends
	_ = perf.Wait()                       // by the signal
	if failed != nil {
		return -1, failed
	}
	text, err := os.ReadFile(file)
	if err != nil || res.Requests == 0 {
		return -1, err
	}
	n := parsePerf(string(text))
	if n < 0 {
		return -1, nil
	}
	return n / float64(res.Requests), nil
}

// parsePerf returns the count in the lines of perf stat -x, -1 for none.
func parsePerf(text string) float64 {
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "raw_syscalls:sys_enter") {
			continue
		}
		count, _, _ := strings.Cut(line, ";")
		if n, err := strconv.ParseFloat(count, 64); err == nil {
			return n
		}
	}
	return -1
}
