//go:build linux

package ring_test

import (
	"errors"
	"testing"

	"github.com/ringcore/ringcore/ring"
	"github.com/ringcore/ringcore/ring/drivertest"
)

// tiers are what the contract is tested on: each as far as this kernel has it.
var tiers = []ring.Tier{ring.Tier519, ring.Tier60, ring.Tier61}

// open opens a driver of exactly the tier, or skips the test where io_uring is
// not to be had.
func open(t testing.TB, tier ring.Tier, cfg ring.Config) *ring.Uring {
	t.Helper()
	cfg.MaxTier = tier
	u, err := ring.Open(cfg)
	var refused *ring.RefusedError
	if errors.As(err, &refused) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := u.Features().Tier; got != tier {
		u.Destroy()
		t.Skipf("tier %v works here, tier %v does not", got, tier)
	}
	return u
}

func TestDriver(t *testing.T) {
	for _, tier := range tiers {
		t.Run(tier.String(), func(t *testing.T) {
			drivertest.Run(t, func(t *testing.T, cfg ring.Config) ring.Driver {
				return open(t, tier, cfg)
			})
		})
	}
}
