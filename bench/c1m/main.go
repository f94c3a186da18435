//go:build linux

// Command c1m holds a great many keep-alive connections to ringcore on one
// machine, with traffic on some of them, and reports what that costs.
//
//	go run ./bench/c1m -n 100000
//	go run ./bench/c1m               # a million: some 12 GiB of memory and a few minutes
//
// The limit of open files is per process and often cannot be raised, so the
// connections are spread over as many server processes as they need, all on one
// port (SO_REUSEPORT, socket(7)), and as many client processes with source
// addresses 127.x.y.z of their own. Every figure is read from the kernel.
//
// Exit status: 0 done, 1 failed, 2 wrong flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ringcore/ringcore/httpcore"
)

const usage = `Usage: c1m [flags]

  -n N               connections (default 1000000)
  -active PERCENT    share of them with traffic, 0.1 to 100 (default 1)
  -every DURATION    a request on each of those (default 1s)
  -for DURATION      how long to watch, first idle, then with traffic (default 20s)
  -driver KIND       auto, io_uring or epoll (default auto)
  -per-process N     connections a process, at most (default what the limit of
                     open files allows)
`

type config struct {
	n          int
	active     float64 // a share, 0 to 1
	every      time.Duration
	watch      time.Duration
	driver     httpcore.DriverKind
	perProcess int
}

func main() {
	switch os.Getenv(roleVariable) {
	case "server":
		os.Exit(report(serve(os.Stdin, os.Stdout)))
	case "client":
		os.Exit(report(connect(os.Stdin, os.Stdout)))
	}
	c, err := parseFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(usage)
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "c1m:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, c, os.Stdout, os.Stderr)
	stop()
	os.Exit(report(err))
}

func report(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "c1m:", err)
		return 1
	}
	return 0
}

func parseFlags(args []string) (config, error) {
	c := config{driver: httpcore.Auto}
	fs := flag.NewFlagSet("c1m", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.IntVar(&c.n, "n", 1_000_000, "")
	percent := fs.Float64("active", 1, "")
	fs.DurationVar(&c.every, "every", time.Second, "")
	fs.DurationVar(&c.watch, "for", 20*time.Second, "")
	fs.IntVar(&c.perProcess, "per-process", 0, "")
	fs.Func("driver", "", func(s string) (err error) {
		c.driver, err = httpcore.ParseDriver(s)
		return err
	})
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	c.active = *percent / 100
	room, err := openFiles()
	if err != nil {
		return c, err
	}
	if c.perProcess == 0 {
		c.perProcess = min(room, portsPerAddress)
	}
	switch {
	case fs.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q (flags only; -h lists them)", fs.Arg(0))
	case c.n < 1 || c.n > 4_000_000:
		return c, errors.New("-n: want 1 to 4000000")
	case c.active < 0.001 || c.active > 1:
		return c, errors.New("-active: want 0.1 to 100")
	case c.every < 10*time.Millisecond || c.watch < c.every || c.watch > time.Hour:
		return c, errors.New("-every, -for: want 10ms or more, and to watch for longer than that, an hour at most")
	case c.perProcess < 1 || c.perProcess > min(room, portsPerAddress):
		return c, fmt.Errorf("-per-process: want 1 to %d, by the limit of open files (ulimit -n) and the ports of an address", min(room, portsPerAddress))
	}
	return c, nil
}

// portsPerAddress is a little less than the ports that one source address has
// for one peer (ip_local_port_range, ip(7)).
const portsPerAddress = 26_000

// spare is how many open files a process needs besides its connections, and a
// server so that chance may give it more connections than the others.
const spare = 600

// openFiles returns how many connections a process may have.
func openFiles() (int, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, err
	}
	n := int(min(l.Max, 1<<20)) - spare
	if n < 1 {
		return 0, fmt.Errorf("the limit of open files, %d, is too low", l.Max)
	}
	return n, nil
}
