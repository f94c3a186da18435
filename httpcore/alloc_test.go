//go:build linux

package httpcore

import (
	"io"
	"runtime"
	"testing"

	"github.com/valyala/fasthttp"
)

// A request costs no allocation: neither in its way through the loop nor in
// that through a worker.
func TestNoAllocationsPerRequest(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, tc := range map[string]struct {
		req   string
		depth int
	}{
		"one at a time": {get("/plaintext"), 1},
		"pipelined":     {get("/plaintext"), 16},
		"browser": {get("/plaintext", "User-Agent: Mozilla/5.0 (X11; Linux x86_64)", "Accept: text/html,*/*;q=0.8",
			"Accept-Language: en", "Accept-Encoding: gzip, br", "Cookie: a=b; c=d", "Connection: keep-alive"), 1},
		"body": {request("POST", "/", "field=value"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, m mode) {
				ts := serve(t, m, &fasthttp.Server{Handler: hello})
				c := ts.dial()
				var batch []byte
				for range tc.depth {
					batch = append(batch, tc.req...)
				}
				c.send(string(batch))
				for range tc.depth {
					c.want(200, "Hello, World!")
				}
				c.send(tc.req)
				size := len(c.rawHead()) + len("Hello, World!")
				c.r.Discard(len("Hello, World!"))
				answer := make([]byte, size*tc.depth)
				rounds := func(n int) {
					for range n / tc.depth {
						if _, err := c.Write(batch); err != nil {
							t.Fatal(err)
						}
						if _, err := io.ReadFull(c.Conn, answer); err != nil {
							t.Fatal(err)
						}
					}
				}
				rounds(2000)
				const n = 20000
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				rounds(n)
				runtime.ReadMemStats(&after)
				if a := float64(after.Mallocs-before.Mallocs) / n; a >= 0.01 {
					t.Errorf("%.3f allocations per request", a)
				}
			})
		})
	}
}
