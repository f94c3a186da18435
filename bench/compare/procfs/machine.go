package procfs

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// CPUTimes are the times of some CPUs since boot, from /proc/stat.
type CPUTimes struct {
	Busy  time.Duration // user, nice, system, irq, softirq
	Steal time.Duration // taken by the hypervisor for others
	Total time.Duration
}

// ReadCPUs adds up the times of these CPUs.
func ReadCPUs(cpus ...int) (CPUTimes, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return CPUTimes{}, err
	}
	return parseCPUs(string(text), cpus)
}

func parseCPUs(text string, cpus []int) (CPUTimes, error) {
	var sum CPUTimes
	found := 0
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		for _, cpu := range cpus {
			if len(f) < 9 || f[0] != "cpu"+strconv.Itoa(cpu) {
				continue
			}
			found++
			for i, word := range f[1:9] { // user nice system idle iowait irq softirq steal
				n, err := strconv.ParseInt(word, 10, 64)
				if err != nil {
					return sum, fmt.Errorf("/proc/stat: %w", err)
				}
				d := time.Duration(n) * tick
				sum.Total += d
				switch i {
				case 3, 4:
				case 7:
					sum.Steal += d
				default:
					sum.Busy += d
				}
			}
		}
	}
	if found != len(cpus) {
		return sum, fmt.Errorf("/proc/stat: %d of the CPUs %v", found, cpus)
	}
	return sum, nil
}

// Sub returns the times since before.
func (t CPUTimes) Sub(before CPUTimes) CPUTimes {
	return CPUTimes{Busy: t.Busy - before.Busy, Steal: t.Steal - before.Steal, Total: t.Total - before.Total}
}

// Model returns the processor's name, "" if the kernel does not say.
func Model() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Release returns the kernel's release.
func Release() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(text))
}

// MemoryAvailable returns the octets that programs can still have.
func MemoryAvailable() int64 {
	text, _ := os.ReadFile("/proc/meminfo")
	return values(string(text))["MemAvailable"] << 10
}

// MemoryTotal returns the octets of memory that the machine has.
func MemoryTotal() int64 {
	text, _ := os.ReadFile("/proc/meminfo")
	return values(string(text))["MemTotal"] << 10
}
