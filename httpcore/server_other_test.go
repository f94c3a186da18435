//go:build !linux

package httpcore

import (
	"io"
	"net/http"
	"testing"

	"github.com/valyala/fasthttp"
)

// Where there are no loops, fasthttp's own server serves, and says so.
func TestOtherSystemsServeByFasthttp(t *testing.T) {
	ready := make(chan Info, 1)
	s := New(&fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) { ctx.WriteString("served") }},
		WithReady(func(i Info) { ready <- i }))
	done := make(chan error, 1)
	go func() { done <- s.ListenAndServe("127.0.0.1:0") }()
	i := <-ready
	if i.Driver != "net" || i.Reason == "" {
		t.Fatalf("Info is %+v", i)
	}
	resp, err := http.Get("http://" + i.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "served" {
		t.Fatalf("got %q, %v", b, err)
	}
	if err := s.Shutdown(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatalf("Serve: %v", err)
	}
}
