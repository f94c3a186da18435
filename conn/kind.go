package conn

import (
	"fmt"

	"github.com/ringcore/ringcore/ring"
)

// DriverKind says which driver an Engine uses.
type DriverKind uint8

// The kinds of driver.
const (
	// Auto uses io_uring where the kernel has what ringcore needs and allows
	// it, epoll elsewhere.
	Auto DriverKind = iota
	// IOUring uses io_uring or fails.
	IOUring
	// Epoll uses epoll.
	Epoll
)

var kindNames = [...]string{"auto", "io_uring", "epoll"}

func (k DriverKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("driver %d", uint8(k))
}

// ParseDriver is the inverse of DriverKind.String.
func ParseDriver(s string) (DriverKind, error) {
	for i, n := range kindNames {
		if s == n {
			return DriverKind(i), nil
		}
	}
	return 0, fmt.Errorf("unknown driver %q: want auto, io_uring or epoll", s)
}

// Tier is a level of what io_uring offers; see ring.Tier.
type Tier = ring.Tier

// The tiers; see package ring.
const (
	TierBest = ring.TierBest
	Tier519  = ring.Tier519
	Tier60   = ring.Tier60
	Tier61   = ring.Tier61
)

// ParseTier is the inverse of Tier.String.
func ParseTier(s string) (Tier, error) { return ring.ParseTier(s) }
