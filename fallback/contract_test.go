//go:build linux

package fallback

import (
	"testing"
	"time"

	"github.com/ringcore/ringcore/ring"
	"github.com/ringcore/ringcore/ring/drivertest"
)

func TestContract(t *testing.T) { runContract(t, true) }

// The same where the kernel has neither epoll_pwait2 nor calls for files that do
// not wait.
func TestContractBefore511(t *testing.T) { runContract(t, false) }

func runContract(t *testing.T, modern bool) {
	drivertest.Run(t, func(t *testing.T, cfg ring.Config) ring.Driver {
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
