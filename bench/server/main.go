// Command server is ringcore's bench server: a few routes for benchmarks and
// for trying things out, on the driver and with the dispatch of one's choice.
//
//	go run ./bench/server -h
//
// Exit status: 0 drained, 1 failed or cut short, 2 wrong flags.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/ringcore/ringcore/bench/procs"
	"github.com/ringcore/ringcore/httpcore"
	"github.com/valyala/fasthttp"
)

// cutGrace is how long a server that was cut short may take to return before
// the process ends without it.
const cutGrace = time.Second

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its surroundings given; it returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	c, err := parseFlags(args)
	if errors.Is(err, errHelp) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "server:", err)
		return 2
	}
	if c.quiet {
		stdout = io.Discard
	}
	if err := serve(c, stdout); err != nil {
		fmt.Fprintln(stderr, "server:", err)
		return 1
	}
	return 0
}

// serve serves until a signal has drained the server (nil) or until it failed.
func serve(c config, out io.Writer) error {
	signals := make(chan os.Signal, 2) // two: neither the drain nor the cut may be lost
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	procs.Set(c.procs, c.loops, c.dispatch)
	db, err := openDatabase(c.db)
	if err != nil {
		return err
	}
	defer db.close()

	ready := make(chan struct{})
	var server *httpcore.Server
	server = newServer(c, db, func(info httpcore.Info) {
		if c.dbLoop {
			db.over(server.Dialer())
		}
		fmt.Fprintln(out, startLine(info))
		close(ready)
	})
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe(c.addr) }()

	select {
	case err := <-served:
		return orStopped(err)
	case <-ready: // from here on Shutdown knows what to close
	}
	select {
	case err := <-served:
		return orStopped(err)
	case s := <-signals:
		fmt.Fprintf(out, "%s: draining (again to cut)\n", s)
	}
	return drain(server, signals)
}

// drain shuts the server down in order; a second signal cuts it short.
func drain(server *httpcore.Server, signals <-chan os.Signal) error {
	ctx, cut := context.WithCancel(context.Background())
	defer cut()
	drained := make(chan struct{})
	var err error // once drained is closed
	go func() {
		err = server.ShutdownWithContext(ctx)
		close(drained)
	}()
	select {
	case <-drained:
		return err
	case s := <-signals:
		cut()
		select {
		case <-drained:
		case <-time.After(cutGrace): // a handler that does not return holds nobody up
		}
		return fmt.Errorf("cut short by a second signal (%s)", s)
	}
}

// orStopped says so where a server returned without an error and unasked.
func orStopped(err error) error {
	if err == nil {
		return errors.New("stopped unasked")
	}
	return err
}

// newServer builds the server that c asks for.
func newServer(c config, db *database, ready func(httpcore.Info)) *httpcore.Server {
	var files fasthttp.RequestHandler
	if c.root != "" {
		files = newFiles(c.root)
	}
	live := &page{}
	live.server = httpcore.New(
		&fasthttp.Server{Handler: newHandler(withPage(live, withDatabase(db, files))), Name: serverName},
		httpcore.WithDriver(c.driver),
		httpcore.WithLoops(c.loops),
		httpcore.WithDispatch(c.dispatch),
		httpcore.WithMaxTier(c.tier),
		httpcore.WithReady(ready),
	)
	return live.server
}

// startLine says what serves and where.
func startLine(info httpcore.Info) string {
	driver := info.Driver
	switch {
	case info.Tier != "":
		driver += " tier=" + info.Tier
	case info.Reason != "":
		driver += fmt.Sprintf(" (%s)", info.Reason)
	}
	return fmt.Sprintf("ringcore: driver=%s loops=%d dispatch=%s procs=%d address=http://%s",
		driver, info.Loops, info.Dispatch, runtime.GOMAXPROCS(0), info.Addr)
}
