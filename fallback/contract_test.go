//go:build linux

package fallback

import (
	"testing"
	"time"

	"github.com/ringcore/ringcore/ring"
	"github.com/ringcore/ringcore/ring/drivertest"
)

func TestContract(t *testing.T) { runContract(t, true) }

// The same where the kernel has no epoll_pwait2.
func TestContractBefore511(t *testing.T) { runContract(t, false) }

func runContract(t *testing.T, precise bool) {
	drivertest.Run(t, func(t *testing.T, cfg ring.Config) ring.Driver {
		t.Helper()
		e, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		e.precise = e.precise && precise
		return watched{e, t}
	})
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
