//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// memoryAvailable returns the octets that the kernel could give to programs
// without swapping, by /proc/meminfo (proc(5)).
func memoryAvailable() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, errors.New("/proc/meminfo does not tell MemAvailable")
}
