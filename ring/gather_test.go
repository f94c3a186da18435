//go:build linux

package ring

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestGather: what has been received since the last Wait comes without another
// one, and nothing is waited for.
func TestGather(t *testing.T) {
	for _, tier := range []Tier{Tier519, Tier60, Tier61} {
		t.Run(tier.String(), func(t *testing.T) {
			needTier(t, tier)
			u := testDriver(t, tier, Config{})
			a, b := tcpPair(t)
			u.Receive(a, MakeToken(1, 1))
			var ev Event
			if u.Gather(); u.Next(&ev) {
				t.Fatalf("nothing was sent, and %v came", ev)
			}
			_, err := unix.Write(b, []byte("hello"))
			must(t, err)
			for deadline := time.Now().Add(10 * time.Second); !u.Next(&ev); u.Gather() {
				if time.Now().After(deadline) {
					t.Fatal("nothing was gathered")
				}
			}
			if string(ev.Data) != "hello" {
				t.Fatalf("%q was gathered", ev.Data)
			}
			u.Release(ev.Buffer)
		})
	}
}
