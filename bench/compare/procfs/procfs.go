// Package procfs reads from /proc what a server has used: processor time,
// context switches and memory, of the process and all that descend from it
// (proc(5)). Everything here needs Linux; elsewhere it fails with an error.
package procfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/PID/stat: USER_HZ is 100 on every
// platform that Go runs on.
const tick = time.Second / 100

// Usage is what a process and its descendants have used so far.
type Usage struct {
	Processes int
	Threads   int

	cpu      map[int]time.Duration // by thread id, to the nanosecond
	ticks    time.Duration         // of all, those that have ended too, in whole ticks
	switches map[int]int64         // by thread id
}

// Delta is what was used between two readings.
type Delta struct {
	CPU      time.Duration
	Switches int64 // voluntary and involuntary
}

// Read reads the usage of the process and its descendants.
func Read(pid int) (Usage, error) {
	u := Usage{cpu: map[int]time.Duration{}, switches: map[int]int64{}}
	tree, err := Tree(pid)
	if err != nil {
		return u, err
	}
	for i, p := range tree {
		s, err := readStat(p)
		if err != nil {
			continue // it has just ended
		}
		u.Processes++
		u.ticks += s.own
		if i == 0 {
			u.ticks += s.children // those of the others are among its own, or will be
		}
		u.readThreads(p)
	}
	if u.Processes == 0 {
		return u, fmt.Errorf("process %d is not there", pid)
	}
	return u, nil
}

func (u *Usage) readThreads(pid int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, task := range tasks {
		tid, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			continue
		}
		sched, err := os.ReadFile(filepath.Join(task, "schedstat"))
		if err != nil {
			continue // it has just ended
		}
		u.Threads++
		if ns, err := strconv.ParseInt(firstField(string(sched)), 10, 64); err == nil {
			u.cpu[tid] = time.Duration(ns)
		}
		if status, err := os.ReadFile(filepath.Join(task, "status")); err == nil {
			u.switches[tid] = parseSwitches(string(status))
		}
	}
}

// Since returns what was used since before. Threads that have ended meanwhile
// are known to the kernel in whole ticks only, so then the time is that exact.
func (u Usage) Since(before Usage) Delta {
	var d Delta
	for tid, cpu := range u.cpu {
		d.CPU += cpu - before.cpu[tid]
		d.Switches += u.switches[tid] - before.switches[tid]
	}
	for tid := range before.cpu {
		if _, lives := u.cpu[tid]; !lives {
			d.CPU = max(d.CPU, u.ticks-before.ticks)
			break
		}
	}
	return d
}

// Tree returns the process and all that descend from it, itself first.
func Tree(pid int) ([]int, error) {
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/stat", pid)); err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	tree := []int{pid}
	for i := 0; i < len(tree); i++ {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", tree[i]))
		for _, name := range lists {
			text, err := os.ReadFile(name)
			if err != nil {
				continue
			}
			for _, word := range strings.Fields(string(text)) {
				if child, err := strconv.Atoi(word); err == nil {
					tree = append(tree, child)
				}
			}
		}
	}
	return tree, nil
}

// stat is the part of /proc/PID/stat that is used here.
type stat struct {
	own      time.Duration // utime + stime
	children time.Duration // cutime + cstime: of children that were waited for
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(text))
}

// parseStat reads a line of /proc/PID/stat. The name of the program stands in
// parentheses and may hold anything, spaces and parentheses too.
func parseStat(line string) (stat, error) {
	f := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(f) < 15 { // the first is the state, field 3 of proc(5)
		return stat{}, fmt.Errorf("a stat line of %d fields", len(f))
	}
	var t [4]time.Duration
	for i := range t {
		n, err := strconv.ParseInt(f[11+i], 10, 64)
		if err != nil {
			return stat{}, err
		}
		t[i] = time.Duration(n) * tick
	}
	return stat{own: t[0] + t[1], children: t[2] + t[3]}, nil
}

func parseSwitches(status string) int64 {
	var sum int64
	for line := range strings.Lines(status) {
		key, value, ok := strings.Cut(line, ":")
		if ok && (key == "voluntary_ctxt_switches" || key == "nonvoluntary_ctxt_switches") {
			n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			sum += n
		}
	}
	return sum
}

func firstField(s string) string {
	if f := strings.Fields(s); len(f) > 0 {
		return f[0]
	}
	return ""
}
