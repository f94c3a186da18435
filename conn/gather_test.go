//go:build linux

package conn

import (
	"net"
	"testing"
)

// TestGatheredTurns: with turns that are filled up, everybody is answered.
func TestGatheredTurns(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e := serve(t, kind, echo(), Options{Gather: true})
		conns := make([]*net.TCPConn, 100)
		for i := range conns {
			conns[i] = e.dial()
		}
		for round := range 20 {
			for i, c := range conns {
				write(t, c, pattern(1+i*round))
			}
			for i, c := range conns {
				wantRead(t, c, pattern(1+i*round))
			}
		}
	})
}
