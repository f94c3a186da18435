//go:build !linux

package pin

import (
	"errors"
	"runtime"
)

// Allowed returns the CPUs of the machine.
func Allowed() ([]int, error) {
	cpus := make([]int, runtime.NumCPU())
	for i := range cpus {
		cpus[i] = i
	}
	return cpus, nil
}

func set([]int) (func() error, error) { return nil, errors.New("pinning to CPUs needs Linux") }
