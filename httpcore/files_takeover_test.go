//go:build linux

package httpcore

import (
	"io"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// TestFilesTakeover: files arrive whole although the loop changes hands while they
// are opened and sent.
func TestFilesTakeover(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		s := newSite(t)
		const size = 4 << 20
		s.write("file.bin", varied(size))
		f := (&Files{Root: s.root, CacheDuration: -1}).Handler()
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			switch {
			case string(ctx.Path()) == "/file.bin":
				f(ctx)
			case len(ctx.Request.Header.Peek("Block")) > 0:
				time.Sleep(20 * time.Millisecond)
			}
		}}, WithLoops(1))
		files, stop := make(chan bool), make(chan struct{})
		defer close(stop)
		c := ts.dial()
		go func() {
			for {
				_, err := io.WriteString(c, get("/file.bin"))
				whole := false
				if err == nil {
					var resp response
					resp, err = c.tryResponse("GET")
					whole = err == nil && resp.body == varied(size)
				}
				select {
				case files <- whole:
				case <-stop:
					return
				}
			}
		}()
		blocker := ts.dial()
		for round := 0; ts.takenOver() < 3; round++ {
			if round == 100 {
				t.Fatalf("the loop was taken over %d times in %d rounds", ts.takenOver(), round)
			}
			for n := 0; n < 6000; n += 60 { // what blocked is quick again
				for range 60 {
					blocker.send(get("/"))
				}
				for range 60 {
					blocker.wantStatus(200)
				}
			}
			blocker.send(get("/", "Block: 1"))
			blocker.wantStatus(200)
			if !<-files {
				t.Fatal("the file did not arrive whole")
			}
		}
	})
}
