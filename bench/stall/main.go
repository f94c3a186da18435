//go:build unix

// Stall shows what handlers that wait or burn processor time do to the other
// requests on the same loop.
//
//	stall -serve [-driver KIND] [-dispatch HOW] [-loops N]   the server; prints its address
//	stall -addr HOST:PORT -slow PATH [flags]                 the load; prints one line
//
// The load has quick requests on a fixed number of connections, and lets one
// request in a hundred (-share) go to the slow path, on connections of their
// own: as many as it takes. scripts/stall runs the two on CPUs of their own.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/ringcore/ringcore/bench/procs"
	"github.com/ringcore/ringcore/httpcore"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "stall:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	fs := flag.NewFlagSet("stall", flag.ExitOnError)
	serving := fs.Bool("serve", false, "be the server")
	addr := fs.String("addr", "127.0.0.1:0", "the server's address")
	driver := fs.String("driver", "auto", "auto, io_uring or epoll")
	dispatch := fs.String("dispatch", "adaptive", "adaptive, inline or pooled")
	loops := fs.Int("loops", 1, "number of loops")
	handlers := fs.Int("max-handlers", 0, "most handlers that run on goroutines at once; 0: fasthttp's default")
	waiting := fs.Int("max-waiting", -1, "most requests that wait for one, the others get 503; -1: no limit")
	var l load
	fs.StringVar(&l.quick, "quick", "/quick", "path of the quick requests")
	fs.StringVar(&l.slow, "slow", "", "path of the slow ones; empty for none")
	fs.Float64Var(&l.share, "share", 1, "slow requests in a hundred")
	fs.IntVar(&l.conns, "conns", 64, "connections of the quick requests")
	fs.Float64Var(&l.rate, "rate", 0, "quick requests a second; 0: each connection its next one at once")
	fs.Float64Var(&l.slowRate, "slow-rate", 0, "slow requests a second, instead of the share")
	fs.IntVar(&l.maxSlow, "max-slow", 9000, "most slow requests at once")
	fs.DurationVar(&l.warm, "warm", time.Second, "time before the measurement")
	fs.BoolVar(&l.seconds, "seconds", false, "also print a line for each second")
	fs.IntVar(&l.hold, "hold", 0, "instead: have so many requests suspended at once for -t, and print what they cost")
	fs.DurationVar(&l.span, "t", 3*time.Second, "length of the measurement")
	o := overload{load: &l, calm: 3 * time.Second, closed: 3 * time.Second}
	fs.Float64Var(&o.times, "overload", 0, "instead: ask for so many times what the slow path sustains for -t, with -rate quick requests and -slow-rate slow ones a second to look at, before, meanwhile and after")
	fs.IntVar(&o.flood, "flood", 500, "with -overload: its connections")
	fs.IntVar(&o.fill, "fill", 16, "with -overload: connections that find out what the slow path sustains")
	fs.DurationVar(&o.finish, "after", 5*time.Second, "with -overload: how long to look on afterwards")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if !*serving {
		if l.conns < 1 || l.span <= 0 || l.share < 0 || l.share >= 100 {
			return errors.New("wants -conns from 1, a length -t, and -share from 0 to 99")
		}
		l.addr = *addr
		if l.hold > 0 {
			return l.holdAll(os.Stdout)
		}
		if o.times > 0 {
			if l.slow == "" || l.rate <= 0 || l.slowRate <= 0 || o.flood < 1 || o.fill < 1 {
				return errors.New("-overload wants -slow, -rate, -slow-rate, and -flood and -fill from 1")
			}
			return o.run(os.Stdout)
		}
		return l.run(os.Stdout)
	}
	kind, err := httpcore.ParseDriver(*driver)
	if err != nil {
		return err
	}
	how, err := httpcore.ParseDispatch(*dispatch)
	if err != nil {
		return err
	}
	procs.Set(0, *loops, how)
	return serve(*addr, httpcore.WithMaxHandlers(*handlers), httpcore.WithMaxWaiting(*waiting), httpcore.WithDriver(kind), httpcore.WithDispatch(how), httpcore.WithLoops(*loops))
}
