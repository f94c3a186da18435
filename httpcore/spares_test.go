//go:build linux

package httpcore

import (
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

// Exchanges are kept for as many requests as there have been at once lately.
func TestSparesAreTrimmed(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		const n = 100
		waiting := make(chan suspended, n)
		ts := serve(t, m, &fasthttp.Server{Handler: suspending(waiting)}, WithLoops(1))
		clients := make([]*client, n)
		for i := range clients {
			clients[i] = ts.dial()
		}
		ask := func() {
			for _, c := range clients {
				c.send(get("/wait"))
			}
			for range clients {
				defer (<-waiting).resume()
			}
		}
		on := func(f func(s *spares, l *conn.Loop)) {
			ts.onProtocols(func(p *protocol) {
				f(&p.spares, p.loop)
				p.loop.StopAlarm(&p.spares.alarm) // this test says when a second is over
			})
		}
		answered := func() {
			for _, c := range clients {
				c.wantStatus(200)
			}
		}
		ask()
		answered()
		on(func(s *spares, l *conn.Loop) { s.trim(l) }) // a second begins
		ask()
		answered()
		on(func(s *spares, l *conn.Loop) {
			if s.trim(l); s.count < n {
				t.Errorf("%d spares are left of %d that were needed", s.count, n)
			}
		})
		on(func(s *spares, l *conn.Loop) { // seconds at rest
			for range 8 {
				if s.count > fewSpares && !s.armed {
					t.Errorf("with %d spares there is no alarm", s.count)
				}
				s.trim(l)
			}
			if s.count != fewSpares || s.armed {
				t.Errorf("%d spares are left, want %d; alarm %v", s.count, fewSpares, s.armed)
			}
		})
		ask()
		answered()
	})
}
