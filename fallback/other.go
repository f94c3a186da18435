//go:build !linux

package fallback

import (
	"errors"

	"github.com/ringcore/ringcore/ring"
)

// Epoll exists on Linux only; elsewhere Open always fails.
type Epoll struct{ ring.Driver }

var _ ring.Driver = (*Epoll)(nil)

// Open reports that there is no epoll on this operating system.
func Open(ring.Config) (*Epoll, error) {
	return nil, errors.New("epoll: needs Linux")
}
