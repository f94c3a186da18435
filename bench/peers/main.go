// Command peers serves the routes that benchmarks load (/, /plaintext, /10k)
// by another server than ringcore: the same octets of body, headers of the
// same length, and each server's own defaults.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strconv"

	"github.com/valyala/fasthttp"
)

const (
	textType   = "text/plain"
	binaryType = "application/octet-stream"
)

var (
	hello = []byte("Hello, World!")
	tenK  = bytes.Repeat([]byte("0123456789abcdef"), 640)
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen, `HOST:PORT`")
	name := flag.String("server", "fasthttp", "which server: fasthttp or nethttp")
	flag.Parse()

	serve, ok := map[string]func(string) error{
		"fasthttp": serveFasthttp,
		"nethttp":  serveNetHTTP,
	}[*name]
	if !ok || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "peers: want -server fasthttp or -server nethttp, and no arguments")
		os.Exit(2)
	}
	fmt.Printf("peers: server=%s address=http://%s\n", *name, *addr)
	if err := serve(*addr); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// serveFasthttp serves by fasthttp with the handler that ringcore's bench
// server uses for these routes.
func serveFasthttp(addr string) error {
	server := &fasthttp.Server{Name: "fasthttp", Handler: func(ctx *fasthttp.RequestCtx) {
		switch string(ctx.Path()) {
		case "/", "/plaintext":
			ctx.SetContentType(textType)
			ctx.Response.SetBodyRaw(hello)
		case "/10k":
			ctx.SetContentType(binaryType)
			ctx.Response.SetBodyRaw(tenK)
		default:
			ctx.Error("not found", fasthttp.StatusNotFound)
		}
	}}
	return server.ListenAndServe(addr)
}

// serveNetHTTP serves by net/http. Content-Length is set by hand, since 10 KiB
// would go out chunked without it.
func serveNetHTTP(addr string) error {
	answer := func(kind string, body []byte) http.HandlerFunc {
		length := strconv.Itoa(len(body))
		return func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Server", "net-http")
			h.Set("Content-Type", kind)
			h.Set("Content-Length", length)
			_, _ = w.Write(body)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", answer(textType, hello))
	mux.HandleFunc("/plaintext", answer(textType, hello))
	mux.HandleFunc("/10k", answer(binaryType, tenK))
	return http.ListenAndServe(addr, mux)
}
