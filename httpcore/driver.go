package httpcore

import "github.com/ringcore/ringcore/conn"

// DriverKind says which driver a Server uses. On systems other than Linux it
// is ignored.
type DriverKind = conn.DriverKind

// The kinds of driver.
const (
	// Auto uses io_uring where the kernel has what ringcore needs and allows
	// it, epoll elsewhere.
	Auto = conn.Auto
	// IOUring uses io_uring or fails.
	IOUring = conn.IOUring
	// Epoll uses epoll.
	Epoll = conn.Epoll
)

// ParseDriver is the inverse of DriverKind.String.
func ParseDriver(s string) (DriverKind, error) { return conn.ParseDriver(s) }

// Tier is a level of what io_uring offers, named after the kernel that
// brought it.
type Tier = conn.Tier

// The tiers, lowest first.
const (
	// TierBest as a limit means no limit.
	TierBest = conn.TierBest
	// Tier519 has single-shot receives and IORING_SETUP_COOP_TASKRUN.
	Tier519 = conn.Tier519
	// Tier60 adds multishot receives and IORING_SETUP_SINGLE_ISSUER.
	Tier60 = conn.Tier60
	// Tier61 adds IORING_SETUP_DEFER_TASKRUN; the reference mode.
	Tier61 = conn.Tier61
)

// ParseTier is the inverse of Tier.String.
func ParseTier(s string) (Tier, error) { return conn.ParseTier(s) }
