package ring

import "fmt"

// Tier is a level of what io_uring offers, named after the kernel that
// brought it. It is found by probing, never by version number.
type Tier uint8

// The tiers, lowest first.
const (
	// TierBest as a limit means no limit.
	TierBest Tier = iota
	// Tier519: multishot accept, provided buffer rings,
	// IORING_SETUP_COOP_TASKRUN; receives are single-shot (Linux 5.19).
	Tier519
	// Tier60: also multishot receive and IORING_SETUP_SINGLE_ISSUER (Linux 6.0).
	Tier60
	// Tier61: also IORING_SETUP_DEFER_TASKRUN, the reference mode (Linux 6.1).
	Tier61
)

func (t Tier) String() string {
	switch t {
	case TierBest:
		return "best"
	case Tier519:
		return "5.19"
	case Tier60:
		return "6.0"
	case Tier61:
		return "6.1"
	}
	return fmt.Sprintf("tier %d", uint8(t))
}

// ParseTier is the inverse of String.
func ParseTier(s string) (Tier, error) {
	for t := TierBest; t <= Tier61; t++ {
		if t.String() == s {
			return t, nil
		}
	}
	return 0, fmt.Errorf("unknown io_uring tier %q: want best, 5.19, 6.0 or 6.1", s)
}
