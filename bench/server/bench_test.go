//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/ringcore/ringcore/bench/load/gen"
	"github.com/ringcore/ringcore/httpcore"
	"github.com/valyala/fasthttp"
)

// BenchmarkServe is a request's whole way, sockets included, with bench/load's
// engine as the client in the same process: by driver, dispatch and load.
func BenchmarkServe(b *testing.B) {
	loads := []gen.Config{
		{Requests: []gen.Request{{Path: "/plaintext"}}, Connections: 64},
		{Requests: []gen.Request{{Path: "/plaintext"}}, Connections: 64, Pipelining: 16},
		{Requests: []gen.Request{{Path: "/10k"}}, Connections: 64},
		{Requests: []gen.Request{{Path: "/echo", Method: "POST", Body: make([]byte, 1024)}}, Connections: 64},
		{Requests: []gen.Request{{Path: "/plaintext"}}, Connections: 64, Close: true},
	}
	for _, driver := range []httpcore.DriverKind{httpcore.IOUring, httpcore.Epoll} {
		for _, dispatch := range []httpcore.Dispatch{httpcore.Inline, httpcore.Pooled, httpcore.Adaptive} {
			for _, load := range loads {
				name := fmt.Sprintf("driver=%v/dispatch=%v/path=%s/pipelining=%d/keepalive=%t",
					driver, dispatch, load.Requests[0].Path, max(load.Pipelining, 1), !load.Close)
				b.Run(name, func(b *testing.B) { benchmarkServe(b, driver, dispatch, load) })
			}
		}
	}
}

func benchmarkServe(b *testing.B, driver httpcore.DriverKind, dispatch httpcore.Dispatch, load gen.Config) {
	s := httpcore.New(&fasthttp.Server{Handler: newHandler(nil), Name: serverName},
		httpcore.WithDriver(driver), httpcore.WithDispatch(dispatch), httpcore.WithLoops(1))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	load.Target = "http://" + ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	load.Count = int64(b.N)
	load.Connections = min(load.Connections, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	r, err := gen.Run(b.Context(), load)
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	if r.Requests != load.Count {
		b.Fatalf("%+v", r)
	}
	b.ReportMetric(1e9*r.DurationS/float64(b.N), "ns/op") // without starting and connecting
	b.ReportMetric(r.LatencyUs.P99, "p99-µs")
	ctx, cut := context.WithCancel(context.Background())
	cut()
	_ = s.ShutdownWithContext(ctx) // cut off: nothing is under way
	if err := <-served; err != nil && err != io.EOF {
		b.Fatal(err)
	}
}
