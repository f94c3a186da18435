package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ringcore/ringcore/bench/compare/procfs"
	"github.com/ringcore/ringcore/bench/compare/target"
)

const (
	callsEvery = 50 * time.Millisecond  // perf counts in intervals of this length
	callsLeast = 400 * time.Millisecond // fewer intervals would be too few
)

// noCalls says why system calls cannot be counted here, "" if they can: it
// takes perf and the right to trace.
func (c *comparison) noCalls(ctx context.Context) string {
	if _, err := exec.LookPath("perf"); err != nil {
		return "system calls are not counted: perf is not installed (Debian package linux-perf)"
	}
	t, err := startTracer(ctx, filepath.Join(c.dir, "perf"), []int{os.Getpid()})
	if err != nil {
		return "system calls are not counted: perf may not trace them here: " + err.Error()
	}
	t.stop()
	return ""
}

// calls measures the server's system calls per request in a short round of
// its own, since counting them costs time. What it calls while connections are
// made and the load warms up does not count.
func (c *comparison) calls(ctx context.Context, s scenario, server *target.Running, d time.Duration) (float64, error) {
	tree, err := procfs.Tree(server.PID)
	if err != nil {
		return -1, err
	}
	t, err := startTracer(ctx, filepath.Join(c.dir, "perf"), tree)
	if err != nil {
		return -1, err
	}
	res, failed := c.loader.Run(ctx, s.job(server.Addr, max(d, callsLeast), c.load))
	counts, err := t.read()
	if err := errors.Join(failed, err); err != nil || res.Requests == 0 {
		return -1, err
	}
	from, to := time.Duration(0), 1000*time.Hour // a loader that says no more ran all the time
	if !res.From.IsZero() {
		from, to = res.From.Sub(t.began), res.To.Sub(t.began)
	}
	perSecond := counts.perSecond(from, to)
	if perSecond < 0 || res.PerSecond <= 0 {
		return -1, nil
	}
	return perSecond / res.PerSecond, nil
}

// tracer is perf, counting the system calls of some processes.
type tracer struct {
	cmd   *exec.Cmd
	file  string
	began time.Time // within some milliseconds
}

// startTracer returns once perf counts.
func startTracer(ctx context.Context, file string, pids []int) (*tracer, error) {
	var list []string
	for _, pid := range pids {
		list = append(list, strconv.Itoa(pid))
	}
	askOut, askIn, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer askIn.Close()
	defer askOut.Close()
	answerOut, answerIn, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer answerOut.Close()
	t := &tracer{file: file, cmd: exec.CommandContext(ctx, "perf", "stat", "-x", ";", "-I", strconv.Itoa(int(callsEvery.Milliseconds())),
		"-e", "raw_syscalls:sys_enter", "--control", "fd:3,4", "-o", file, "-p", strings.Join(list, ","))}
	t.cmd.ExtraFiles = []*os.File{askOut, answerIn} // 3 and 4
	err = t.cmd.Start()
	_ = answerIn.Close() // perf has it: when perf ends, so does reading
	if err != nil {
		return nil, err
	}
	if _, err = askIn.WriteString("ping\n"); err == nil {
		_, err = io.ReadFull(answerOut, make([]byte, len("ack\n")))
	}
	t.began = time.Now()
	if err != nil {
		_ = t.cmd.Process.Kill()
		_ = t.cmd.Wait() // killed
		return nil, fmt.Errorf("perf does not count (%w)", err)
	}
	return t, nil
}

// stop ends perf.
func (t *tracer) stop() {
	_ = t.cmd.Process.Signal(os.Interrupt) // it writes its counts and ends
	_ = t.cmd.Wait()                       // by the signal
}

// read ends perf and returns what it counted.
func (t *tracer) read() (callCounts, error) {
	t.stop()
	text, err := os.ReadFile(t.file)
	if err != nil {
		return nil, err
	}
	counts := parsePerf(string(text))
	if len(counts) == 0 {
		return nil, errors.New("perf counted nothing")
	}
	return counts, nil
}

// callCounts are the calls of intervals that follow one another.
type callCounts []struct {
	until time.Duration // since counting began
	calls float64
}

// perSecond returns the rate in the intervals that lie between two moments,
// -1 if there is none.
func (c callCounts) perSecond(from, to time.Duration) float64 {
	var calls float64
	var length, last time.Duration
	for _, i := range c {
		if last >= from && i.until <= to {
			calls += i.calls
			length += i.until - last
		}
		last = i.until
	}
	if length <= 0 {
		return -1
	}
	return calls / length.Seconds()
}

// parsePerf reads the lines of perf stat -x ";" -I.
func parsePerf(text string) callCounts {
	var counts callCounts
	for line := range strings.Lines(text) {
		f := strings.Split(line, ";")
		if len(f) < 4 || f[3] != "raw_syscalls:sys_enter" {
			continue
		}
		until, err := strconv.ParseFloat(strings.TrimSpace(f[0]), 64)
		n, failed := strconv.ParseFloat(f[1], 64)
		if failed != nil && f[1] != "<not counted>" { // that: none of the threads ran
			continue
		}
		if err == nil {
			counts = append(counts, struct {
				until time.Duration
				calls float64
			}{time.Duration(until * float64(time.Second)), n})
		}
	}
	return counts
}
