package httpcore_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/httpcore"
)

// An application built on fasthttp changes one line: the server's own
// configuration and handlers stay.
func ExampleNew() {
	server := &fasthttp.Server{
		Name:        "example",
		ReadTimeout: 5 * time.Second,
		Handler: func(ctx *fasthttp.RequestCtx) {
			fmt.Fprintf(ctx, "Hello, %s!", ctx.QueryArgs().Peek("name"))
		},
	}
	addr := make(chan string, 1)
	s := httpcore.New(server, httpcore.WithReady(func(i httpcore.Info) { addr <- i.Addr.String() }))
	go func() {
		if err := s.ListenAndServe("127.0.0.1:0"); err != nil { // was server.ListenAndServe
			log.Fatal(err)
		}
	}()

	resp, err := http.Get("http://" + <-addr + "/?name=World")
	if err != nil {
		log.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	fmt.Println(resp.Header.Get("Server"), string(body))
	if err := s.Shutdown(); err != nil {
		log.Fatal(err)
	}
	// Output: example Hello, World!
}

// ListenAndServe is the shortest way; it returns when it cannot serve.
func ExampleListenAndServe() {
	handler := func(ctx *fasthttp.RequestCtx) { ctx.WriteString("Hello, World!") }
	err := httpcore.ListenAndServe("127.0.0.1:-1", handler, httpcore.WithDispatch(httpcore.Inline))
	fmt.Println(err)
	// Output: listen tcp: address -1: invalid port
}

// A shutdown answers the requests that run, for as long as one is willing to
// wait; ListenAndServe then returns nil.
func ExampleServer_ShutdownWithContext() {
	ready := make(chan httpcore.Info, 1)
	s := httpcore.New(&fasthttp.Server{Handler: func(*fasthttp.RequestCtx) {}},
		httpcore.WithReady(func(i httpcore.Info) { ready <- i }))
	served := make(chan error, 1)
	go func() { served <- s.ListenAndServe("127.0.0.1:0") }()
	<-ready

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(s.ShutdownWithContext(ctx), <-served)
	// Output: <nil> <nil>
}

// The server says how it serves, and if not by io_uring, why.
func ExampleServer_Driver() {
	ready := make(chan httpcore.Info, 1)
	s := httpcore.New(&fasthttp.Server{Handler: func(*fasthttp.RequestCtx) {}},
		httpcore.WithDriver(httpcore.Epoll), httpcore.WithLoops(1),
		httpcore.WithReady(func(i httpcore.Info) { ready <- i }))
	go s.ListenAndServe("127.0.0.1:0")
	<-ready
	name, reason := s.Driver()
	fmt.Printf("%s %q, loops: %d, handlers: %s\n", name, reason, s.Info().Loops, s.Info().Dispatch)
	s.Shutdown()
}

// Flags of a program are read with the Parse functions.
func ExampleParseDispatch() {
	for _, name := range []string{"inline", "pooled", "both"} {
		d, err := httpcore.ParseDispatch(name)
		fmt.Println(d, err)
	}
	// Output:
	// inline <nil>
	// pooled <nil>
	// pooled unknown dispatch "both": want adaptive, inline or pooled
}
