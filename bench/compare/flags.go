package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringcore/ringcore/bench/compare/target"
)

const usage = `Usage: compare [flags]

Runs ringcore with its drivers, and other servers that are installed, under the
same loads, and reports what a request costs each. It starts and ends all of
them itself, on free ports of 127.0.0.1, with configurations of its own in a
temporary folder. Run it from the repository (it builds the servers there). With
everything installed and no flags it takes about half an hour.

  -quick             a run of at most 60 s: what does not fit is left out, and said
                     (compiling the servers for the first time comes on top)
  -out DIR           also write report.md, report.json and report.html to DIR
  -drivers LIST      of ringcore: io_uring,epoll (default both; none for none)
  -dispatch LIST     of ringcore: adaptive,pooled,inline (default adaptive)
  -tiers LIST        of io_uring: best,5.19,6.0,6.1 (default best)
  -peers LIST        of %s
                     (default all that are installed; with -quick fasthttp; none for none)
  -scenarios LIST    of %s
                     (default all but idle1k; with -quick some)
  -rounds N          interleaved rounds, 1 to 100 (default 5; with -quick 3)
  -time DURATION     length of each measurement (default 2s; with -quick what fits)
  -loader NAME       load (bench/load) or wrk (default load)
  -cpus SERVER/LOAD  which CPUs they are pinned to, such as 0/1 or 0,1/2,3
                     (default the first half of those allowed, and the rest)

Lists are separated by commas.
`

type options struct {
	quick     bool
	out       string
	drivers   []string
	dispatch  []string
	tiers     []string
	peers     []string // nil: those that are installed
	scenarios []string
	rounds    int
	time      time.Duration
	fixed     bool // the time was given; with -quick it otherwise is what fits
	loader    string
	server    []int // CPUs
	load      []int
}

var errHelp = errors.New("help wanted")

func peerNames() []string {
	var names []string
	for _, p := range target.Peers() {
		names = append(names, p.Name)
	}
	return names
}

// parseFlags reads the arguments; cpus are those that this process may use.
func parseFlags(args []string, cpus []int) (options, error) {
	o := options{drivers: []string{"io_uring", "epoll"}, dispatch: []string{target.DefaultDispatch}, tiers: []string{"best"}, loader: "load"}
	fs := flag.NewFlagSet("compare", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.BoolVar(&o.quick, "quick", false, "")
	fs.StringVar(&o.out, "out", "", "")
	list := func(name string, to *[]string, known ...string) {
		fs.Func(name, "", func(s string) (err error) {
			*to, err = parseList(s, known)
			return err
		})
	}
	list("drivers", &o.drivers, "io_uring", "epoll")
	list("dispatch", &o.dispatch, "adaptive", "pooled", "inline")
	list("tiers", &o.tiers, "best", "5.19", "6.0", "6.1")
	list("peers", &o.peers, peerNames()...)
	list("scenarios", &o.scenarios, scenarioNames()...)
	fs.Func("loader", "", func(s string) error {
		o.loader = s
		if !slices.Contains([]string{"load", "wrk"}, s) {
			return errors.New("want load or wrk")
		}
		return nil
	})
	fs.IntVar(&o.rounds, "rounds", 0, "")
	fs.DurationVar(&o.time, "time", 0, "")
	pinned := fs.String("cpus", "", "")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return o, errHelp
	case err != nil:
		return o, err
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q (flags only; -h lists them)", fs.Arg(0))
	case o.rounds < 0 || o.rounds > 100:
		return o, errors.New("-rounds wants 1 to 100")
	case o.time < 0 || o.time > time.Hour:
		return o, errors.New("-time wants a duration of up to an hour")
	}
	o.defaults()
	if len(o.drivers)+len(o.peers) == 0 {
		return o, errors.New("no servers: -drivers and -peers are both none")
	}
	return o, o.pin(*pinned, cpus)
}

func (o *options) defaults() {
	if o.rounds == 0 {
		o.rounds = 5
		if o.quick {
			o.rounds = 3
		}
	}
	o.fixed = o.time > 0
	if o.time == 0 && !o.quick {
		o.time = 2 * time.Second
	}
	if o.peers == nil {
		if o.peers = []string{"fasthttp"}; !o.quick {
			o.peers = peerNames()
		}
	}
	if o.scenarios == nil {
		o.scenarios = defaultScenarios(o.quick)
	}
}

// pin reads -cpus, or shares the CPUs out.
func (o *options) pin(s string, cpus []int) error {
	if s == "" {
		if len(cpus) < 2 {
			return fmt.Errorf("needs two CPUs, one for the server and one for the load; this process may use %d", len(cpus))
		}
		o.server, o.load = cpus[:len(cpus)/2], cpus[len(cpus)/2:]
		return nil
	}
	server, load, ok := strings.Cut(s, "/")
	var err1, err2 error
	o.server, err1 = parseCPUs(server, cpus)
	o.load, err2 = parseCPUs(load, cpus)
	if !ok || err1 != nil || err2 != nil {
		return fmt.Errorf("-cpus wants SERVER/LOAD, of the CPUs %v: %w", cpus, errors.Join(err1, err2))
	}
	return nil
}

func parseCPUs(s string, allowed []int) ([]int, error) {
	var cpus []int
	for word := range strings.SplitSeq(s, ",") {
		cpu, err := strconv.Atoi(word)
		if err != nil || !slices.Contains(allowed, cpu) {
			return nil, fmt.Errorf("%q is not one of them", word)
		}
		cpus = append(cpus, cpu)
	}
	return cpus, nil
}

// parseList reads words of the known ones; "none" and "all" stand for themselves.
func parseList(s string, known []string) ([]string, error) {
	switch s {
	case "none":
		return []string{}, nil
	case "all":
		return known, nil
	}
	list := []string{}
	for word := range strings.SplitSeq(s, ",") {
		if !slices.Contains(known, word) {
			return nil, fmt.Errorf("%q is not one of %s", word, strings.Join(known, ", "))
		}
		if !slices.Contains(list, word) {
			list = append(list, word)
		}
	}
	return list, nil
}

// targets are the servers that the options name.
func (o options) targets() []target.Target {
	var list []target.Target
	for _, driver := range o.drivers {
		for _, dispatch := range o.dispatch {
			tiers := o.tiers
			if driver != "io_uring" {
				tiers = []string{"best"}
			}
			for _, tier := range tiers {
				list = append(list, target.Ringcore(driver, dispatch, tier))
			}
		}
	}
	for _, p := range target.Peers() {
		if slices.Contains(o.peers, p.Name) {
			list = append(list, p)
		}
	}
	return list
}
