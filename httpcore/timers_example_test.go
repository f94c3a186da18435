package httpcore_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/httpcore"
)

// An answer that comes later, without a goroutine that waits for its time.
func ExampleAfter() {
	url, stop := serveExample(func(ctx *fasthttp.RequestCtx) {
		resume := httpcore.Suspend(ctx)
		httpcore.After(ctx, 10*time.Millisecond, func(err error) {
			if err != nil { // the client has gone, or the server shuts down
				ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
			} else {
				ctx.SetBodyString("nothing happened")
			}
			resume()
		})
	})
	defer stop()
	resp, err := http.Get(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body))
	// Output: nothing happened
}

// A countdown. The function runs on a goroutine of the server's, and may block.
func ExampleEvery() {
	url, stop := serveExample(func(ctx *fasthttp.RequestCtx) {
		resume := httpcore.Suspend(ctx)
		n := 3
		var every *httpcore.Timer
		every = httpcore.Every(ctx, time.Millisecond, func(err error) {
			if err != nil || n == 0 {
				every.Stop()
				resume()
				return
			}
			fmt.Fprintln(ctx, n)
			n--
		})
	})
	defer stop()
	resp, err := http.Get(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		fmt.Println(lines.Text())
	}
	// Output:
	// 3
	// 2
	// 1
}

// serveExample serves h on a free port.
func serveExample(h fasthttp.RequestHandler) (url string, stop func()) {
	ready := make(chan httpcore.Info, 1)
	s := httpcore.New(&fasthttp.Server{Handler: h}, httpcore.WithReady(func(i httpcore.Info) { ready <- i }))
	go func() {
		if err := s.ListenAndServe("127.0.0.1:0"); err != nil {
			log.Fatal(err)
		}
	}()
	return "http://" + (<-ready).Addr.String(), func() { _ = s.Shutdown() }
}
