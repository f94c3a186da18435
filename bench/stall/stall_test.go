//go:build unix

package main

import (
	"bytes"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/httpcore"
)

// startServer serves the routes on a free port until the test ends.
func startServer(t *testing.T, opts ...httpcore.Option) (addr string) {
	t.Helper()
	db, err := openDatabase()
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	s := httpcore.New(&fasthttp.Server{Handler: routes(db)}, append(opts, httpcore.WithLoops(1),
		httpcore.WithReady(func(i httpcore.Info) { ready <- i.Addr.String() }))...)
	served := make(chan error, 1)
	go func() { served <- s.ListenAndServe("127.0.0.1:0") }()
	t.Cleanup(func() {
		if err := s.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	select {
	case addr = <-ready:
	case err := <-served:
		t.Fatal(err)
	}
	return addr
}

// field returns a value of the load's line.
func field(t *testing.T, line, name string) float64 {
	t.Helper()
	m := regexp.MustCompile(`\b` + name + `=([0-9.]+)`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("no %s in %q", name, line)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Every way of being slow takes its time, and the load tells.
func TestLoad(t *testing.T) {
	addr := startServer(t)
	for _, slow := range []string{"/sleep", "/mutex", "/sql", "/read", "/burn", "/suspend", "/quick?as=/sleep"} {
		path := slow + "?ms=10"
		if slow[1] == 'q' {
			path = slow + "&ms=10"
		}
		t.Run(slow, func(t *testing.T) {
			l := load{addr: addr, quick: "/quick", slow: path, conns: 4, maxSlow: 10, slowRate: 100,
				rate: 400, span: 150 * time.Millisecond}
			var out bytes.Buffer
			if err := l.run(&out); err != nil {
				t.Fatal(err)
			}
			if field(t, out.String(), "rps") == 0 || field(t, out.String(), "slow_p50ms") < 5 {
				t.Errorf("the load says %s", &out)
			}
		})
	}
}

func TestHold(t *testing.T) {
	l := load{addr: startServer(t), hold: 200, span: time.Second}
	var out bytes.Buffer
	if err := l.holdAll(&out); err != nil {
		t.Fatal(err)
	}
	if n := field(t, out.String(), "suspended"); n != 200 {
		t.Errorf("%v are suspended, want 200", n)
	}
}

// The overload's load counts what becomes of every request that it sends.
func TestOverload(t *testing.T) {
	for name, opts := range map[string][]httpcore.Option{
		"refuse": {httpcore.WithMaxHandlers(2), httpcore.WithMaxWaiting(2)},
		"wait":   {httpcore.WithMaxHandlers(2)},
	} {
		t.Run(name, func(t *testing.T) {
			l := load{addr: startServer(t, opts...), quick: "/quick", slow: "/sleep?ms=5", conns: 2, rate: 100, slowRate: 20,
				span: 300 * time.Millisecond}
			o := overload{load: &l, times: 10, flood: 20, fill: 2, calm: 100 * time.Millisecond,
				closed: 100 * time.Millisecond, finish: 100 * time.Millisecond}
			var out bytes.Buffer
			if err := o.run(&out); err != nil {
				t.Fatal(err)
			}
			line := out.String()
			if field(t, line, "sustained") == 0 || field(t, line, "goodput") == 0 || field(t, line, "lost") > 0 ||
				(field(t, line, "refused") > 0) != (name == "refuse") {
				t.Errorf("the load says %s", line)
			}
		})
	}
}
