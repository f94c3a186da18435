//go:build !linux

package gen

import (
	"context"
	"errors"
)

// Run needs Linux.
func Run(context.Context, Config) (*Report, error) {
	return nil, errors.New("the load generator runs on Linux only")
}
