//go:build linux

package fallback

import (
	"errors"
	"testing"
	"time"

	"github.com/ringcore/ringcore/ring"
	"github.com/ringcore/ringcore/ring/drivertest"
)

func TestContract(t *testing.T) { runContract(t, true) }

// The same where the kernel has neither epoll_pwait2 nor calls for files that do
// not wait.
func TestContractBefore511(t *testing.T) { runContract(t, false) }

// The other driver with what package fallback gives it.
func TestContractUring(t *testing.T) {
	for _, tier := range []ring.Tier{ring.Tier519, ring.Tier60, ring.Tier61} {
		t.Run(tier.String(), func(t *testing.T) {
			drivertest.RunSendFile(t, func(t *testing.T, cfg ring.Config) ring.Driver {
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
				f, err := WithFileSender(u)
				if err != nil {
					t.Fatal(err)
				}
				return f
			})
		})
	}
}

func TestWritable(t *testing.T) {
	drivertest.RunWritable(t, func(t *testing.T, cfg ring.Config) ring.Driver {
		t.Helper()
		e, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return watched{e, t}
	})
}

func runContract(t *testing.T, modern bool) {
	open := func(t *testing.T, cfg ring.Config) ring.Driver {
		t.Helper()
		e, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		e.precise = e.precise && modern
		f, err := WithFiles(watched{e, t})
		if err != nil {
			t.Fatal(err)
		}
		f.noCached, f.noNowait, f.stepwise = !modern, !modern, !modern
		return f
	}
	drivertest.Run(t, open)
	if modern { // else it is the same
		drivertest.RunSendFile(t, open)
	}
}

// watched fails the test when a Wait that should have been ended by an event
// went on to its timeout: a lost edge that is found later is still a stall.
type watched struct {
	*Epoll
	t testing.TB
}

func (w watched) Wait(timeout time.Duration) error {
	start := time.Now()
	err := w.Epoll.Wait(timeout)
	if timeout >= patience/2 && time.Since(start) >= timeout {
		w.t.Errorf("Wait went on for all of %v", timeout)
	}
	return err
}
