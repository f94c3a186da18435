//go:build unix

package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/httpcore"
)

// serve serves the routes until SIGINT or SIGTERM.
func serve(addr string, opts ...httpcore.Option) error {
	stepsPerNano() // while nothing else goes on
	db, err := openDatabase()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := httpcore.New(&fasthttp.Server{Handler: routes(db)}, append(opts, httpcore.WithReady(func(i httpcore.Info) {
		fmt.Printf("stall: driver=%s loops=%d dispatch=%s procs=%d address=%s\n",
			i.Driver, i.Loops, i.Dispatch, runtime.GOMAXPROCS(0), i.Addr)
	}))...)
	go func() {
		<-ctx.Done()
		cut, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.ShutdownWithContext(cut)
		os.Exit(0)
	}()
	return s.ListenAndServe(addr)
}

// routes has, beside the quick ones, a path for each way of being slow, which
// takes ?ms=N. /quick?as=/sleep&ms=N is slow in that way on the quick path.
func routes(db *sql.DB) fasthttp.RequestHandler {
	slow := map[string]func(*fasthttp.RequestCtx, time.Duration) error{
		"/sleep": func(_ *fasthttp.RequestCtx, d time.Duration) error { time.Sleep(d); return nil },
		"/mutex": lockFor,
		"/sql": func(ctx *fasthttp.RequestCtx, d time.Duration) error {
			_, err := db.ExecContext(ctx, "wait", int64(d))
			return err
		},
		"/read":    readFor,
		"/burn":    burnFor,
		"/suspend": suspendFor,
		"/stats":   stats,
		"/garbage": func(*fasthttp.RequestCtx, time.Duration) error { garbage.Store(new([4096]byte)); return nil },
	}
	return func(ctx *fasthttp.RequestCtx) {
		ctx.Response.SetBodyRaw(quickBody)
		way := string(ctx.Path())
		if way == "/quick" {
			if len(ctx.QueryArgs().QueryString()) == 0 {
				return
			}
			way = string(ctx.QueryArgs().Peek("as"))
		}
		f := slow[way]
		if f == nil {
			ctx.NotFound()
		} else if err := f(ctx, time.Duration(ctx.QueryArgs().GetUintOrZero("ms"))*time.Millisecond); err != nil {
			ctx.Error(err.Error(), fasthttp.StatusInternalServerError)
		}
	}
}

var (
	quickBody = []byte("Hello, World!")
	garbage   atomic.Pointer[[4096]byte]
)

// lockFor waits for a mutex that is held for d.
func lockFor(_ *fasthttp.RequestCtx, d time.Duration) error {
	var mu sync.Mutex
	mu.Lock()
	time.AfterFunc(d, mu.Unlock)
	mu.Lock()
	mu.Unlock() //nolint:staticcheck // waiting is all
	return nil
}

// readFor is in read(2) for d, on a pipe that Go's poller does not know.
func readFor(_ *fasthttp.RequestCtx, d time.Duration) error {
	var p [2]int
	if err := syscall.Pipe(p[:]); err != nil {
		return err
	}
	defer func() { _ = syscall.Close(p[0]) }()
	time.AfterFunc(d, func() {
		_, _ = syscall.Write(p[1], []byte{1})
		_ = syscall.Close(p[1])
	})
	for b := make([]byte, 1); ; {
		if _, err := syscall.Read(p[0], b); err != syscall.EINTR {
			return err
		}
	}
}

// burnFor uses about d of processor time.
func burnFor(_ *fasthttp.RequestCtx, d time.Duration) error {
	burn(int(float64(d) * stepsPerNano()))
	return nil
}

func burn(steps int) uint64 {
	x := uint64(1)
	for range steps {
		x = x*6364136223846793005 + 1442695040888963407
	}
	burnt.Store(x)
	return x
}

var burnt atomic.Uint64

// stepsPerNano measures what this processor does: the best of a few runs.
var stepsPerNano = sync.OnceValue(func() float64 {
	const steps = 1_000_000
	best := time.Hour
	for range 20 {
		begun := time.Now()
		burn(steps)
		best = min(best, time.Since(begun))
	}
	return steps / float64(best)
})

// suspendFor answers after d, without a goroutine meanwhile.
func suspendFor(ctx *fasthttp.RequestCtx, d time.Duration) error {
	resume := httpcore.Suspend(ctx)
	httpcore.After(ctx, d, func(error) {
		suspended.Add(-1)
		resume()
	})
	suspended.Add(1)
	return nil
}

var suspended atomic.Int64

// stats answers what the server has used so far.
func stats(ctx *fasthttp.RequestCtx, _ time.Duration) error {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return err
	}
	var size, resident int
	_, _ = fmt.Sscan(string(status), &size, &resident)
	ctx.Response.ResetBody()
	fmt.Fprintf(ctx, "cpu_us=%d resident_kib=%d goroutines=%d suspended=%d",
		(ru.Utime.Nano()+ru.Stime.Nano())/1000, resident*os.Getpagesize()/1024, runtime.NumGoroutine(), suspended.Load())
	return nil
}
