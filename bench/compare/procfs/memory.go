package procfs

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Memory is user memory in octets, of a process and its descendants.
type Memory struct {
	PSS     int64 // each shared page counted in equal parts: it adds up over processes
	Private int64 // pages that no other process has
}

// ReadMemory reads smaps_rollup, which counts pages; the figures of
// /proc/PID/status lag behind by some dozen pages a thread.
func ReadMemory(pid int) (Memory, error) {
	tree, err := Tree(pid)
	if err != nil {
		return Memory{}, err
	}
	var sum Memory
	var last error
	read := 0
	for _, p := range tree {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		if err != nil {
			last = err
			continue // it has just ended
		}
		m := parseRollup(string(text))
		sum.PSS += m.PSS
		sum.Private += m.Private
		read++
	}
	if read == 0 {
		return sum, fmt.Errorf("no memory to read: %w", last)
	}
	return sum, nil
}

func parseRollup(text string) Memory {
	kib := values(text)
	return Memory{
		PSS:     kib["Pss"] << 10,
		Private: (kib["Private_Clean"] + kib["Private_Dirty"]) << 10,
	}
}

// values reads lines of "Name:  N kB".
func values(text string) map[string]int64 {
	v := map[string]int64{}
	for line := range strings.Lines(text) {
		if key, rest, ok := strings.Cut(line, ":"); ok {
			if n, err := strconv.ParseInt(firstField(rest), 10, 64); err == nil {
				v[key] = n
			}
		}
	}
	return v
}

// Kernel returns the octets that the kernel has in slabs and in memory of
// sockets, and how many TCP sockets there are, from /proc/meminfo and
// /proc/net/sockstat.
func Kernel() (slab int64, sockets int, err error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0, err
	}
	slab = values(string(text))["Slab"] << 10
	if text, err = os.ReadFile("/proc/net/sockstat"); err != nil {
		return slab, 0, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "TCP:" && f[1] == "inuse" {
			sockets, err = strconv.Atoi(f[2])
		}
	}
	return slab, sockets, err
}
