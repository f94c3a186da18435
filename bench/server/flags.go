package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"github.com/ringcore/ringcore/httpcore"
)

const usage = `Usage: server [flags]

Serves the benchmark's routes by ringcore until SIGINT or SIGTERM, which drain
it: no new connections, what was accepted is finished. A second signal cuts.

  -addr HOST:PORT     where to listen; port 0 picks a free one (default 127.0.0.1:8080)
  -driver KIND        auto, io_uring or epoll (default auto)
  -loops N            number of loops; 0 derives it from GOMAXPROCS (default 0)
  -dispatch HOW       where handlers run: adaptive, on the loop where they are
                      quick and on goroutines else; pooled, on goroutines; or
                      inline, on the loop, which they must never block
                      (default adaptive)
  -procs N            GOMAXPROCS; 0 leaves it to Go, but with adaptive dispatch sees
                      to it that it is more than the loops (default 0)
  -max-tier TIER      highest tier of io_uring: best, 5.19, 6.0 or 6.1 (default best)
  -root DIR           also serve the files under DIR at their own path
  -db URL             PostgreSQL for the routes below that need it (default
                      $DATABASE_URL; scripts/postgres makes one)
  -db-over HOW        how its connections go: loop, the server's own, or net, Go's
                      (default net; loop not with inline dispatch)
  -quiet              print nothing but errors, and why it is not io_uring

Routes:
  /, /plaintext       Hello, World!
  /json               {"message":"Hello, World!"}
  /bytes?n=N          N octets, 0 to 67108864 (default 1024)
  /10k                10240 octets
  POST /echo          the request's body, at most 4 MiB
  /slow?ms=N          waits N milliseconds, 0 to 60000, as on a database (default 50)
  /status?code=N      answers with this status, 200 to 599 (default 200)
  /_ringcore          a page that shows what the loops do, live
  /db                 a row of the table world, as JSON
  /queries?queries=N  N rows, each by a query of its own, 1 to 500 (default 1)
  /updates?queries=N  the same, each changed and written back
  /fortunes           the table fortune and one more, as HTML
  /db/sleep?ms=N      waits N milliseconds, 0 to 60000, in the database (default 50)
`

// maxLoops bounds -loops and -procs: more than any machine has use for.
const maxLoops = 1024

// config is what the flags say.
type config struct {
	addr     string
	driver   httpcore.DriverKind
	loops    int
	procs    int
	dispatch httpcore.Dispatch
	tier     httpcore.Tier
	root     string
	db       string
	dbLoop   bool // its connections go over the server's loops
	quiet    bool
}

// errHelp: -h was given.
var errHelp = errors.New("help wanted")

// parseFlags reads the arguments. Its error is one line for people, or errHelp.
func parseFlags(args []string) (config, error) {
	c := config{driver: httpcore.Auto, dispatch: httpcore.Adaptive}
	fs := flag.NewFlagSet("server", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // the caller prints the error, once
	fs.StringVar(&c.addr, "addr", "127.0.0.1:8080", "")
	fs.StringVar(&c.root, "root", "", "")
	fs.StringVar(&c.db, "db", os.Getenv("DATABASE_URL"), "")
	fs.BoolVar(&c.quiet, "quiet", false, "")
	for name, into := range map[string]*int{"loops": &c.loops, "procs": &c.procs} {
		fs.Func(name, "", func(s string) (err error) {
			*into, err = strconv.Atoi(s)
			if err != nil || *into < 0 || *into > maxLoops {
				return fmt.Errorf("want a whole number from 0 to %d", maxLoops)
			}
			return nil
		})
	}
	fs.Func("db-over", "", func(s string) error {
		if s != "loop" && s != "net" {
			return errors.New("want loop or net")
		}
		c.dbLoop = s == "loop"
		return nil
	})
	fs.Func("driver", "", func(s string) (err error) {
		c.driver, err = httpcore.ParseDriver(s)
		return err
	})
	fs.Func("dispatch", "", func(s string) (err error) {
		c.dispatch, err = httpcore.ParseDispatch(s)
		return err
	})
	fs.Func("max-tier", "", func(s string) (err error) {
		c.tier, err = httpcore.ParseTier(s)
		return err
	})
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return c, errHelp
	case err != nil:
		return c, err
	case fs.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q (flags only; -h lists them)", fs.Arg(0))
	}
	if c.dbLoop && c.dispatch == httpcore.Inline {
		return c, errors.New("-db-over loop: a handler on the loop would wait for its own loop; want another -dispatch")
	}
	if err := checkAddr(c.addr); err != nil {
		return c, fmt.Errorf("invalid value %q for flag -addr: %w", c.addr, err)
	}
	if err := checkRoot(c.root); err != nil {
		return c, fmt.Errorf("invalid value %q for flag -root: %w", c.root, err)
	}
	return c, nil
}

func checkAddr(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return errors.New("want HOST:PORT")
	}
	return nil
}

func checkRoot(root string) error {
	if root == "" {
		return nil
	}
	info, err := os.Stat(root)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			return path.Err // the value is named already
		}
		return err
	}
	if !info.IsDir() {
		return errors.New("not a directory")
	}
	return nil
}
