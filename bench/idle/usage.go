package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what a process has used.
type usage struct {
	rss int64         // octets of resident memory
	cpu time.Duration // of all its threads that live
}

// readUsage reads both from /proc/PID.
func readUsage(pid int) (usage, error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	rss, err := readRSS(proc)
	if err != nil {
		return usage{}, err
	}
	cpu, err := readCPU(proc)
	return usage{rss: rss, cpu: cpu}, err
}

// readRSS takes smaps_rollup, which counts pages; VmRSS in status may lag
// behind by some dozen pages a thread (proc(5)).
func readRSS(proc string) (int64, error) {
	for _, name := range []struct{ file, key string }{{"smaps_rollup", "Rss:"}, {"status", "VmRSS:"}} {
		text, err := os.ReadFile(filepath.Join(proc, name.file))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) >= 2 && f[0] == name.key {
				kib, err := strconv.ParseInt(f[1], 10, 64)
				return kib << 10, err
			}
		}
	}
	return 0, fmt.Errorf("no resident memory to read in %s (is that the server's process, on Linux?)", proc)
}

// readCPU adds up the run time of the threads, in ns; the ticks of
// /proc/PID/stat are too coarse for an idle server.
func readCPU(proc string) (time.Duration, error) {
	files, err := filepath.Glob(filepath.Join(proc, "task", "*", "schedstat"))
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // a thread that has just ended
		}
		f := strings.Fields(string(text))
		if len(f) == 0 {
			continue
		}
		ns, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum += time.Duration(ns)
	}
	if len(files) == 0 {
		return 0, fmt.Errorf("no CPU time to read in %s (needs a kernel with CONFIG_SCHED_INFO)", proc)
	}
	return sum, nil
}
