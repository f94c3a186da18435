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
func startServer(t *testing.T) (addr string) {
	t.Helper()
	db, err := openDatabase()
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	s := httpcore.New(&fasthttp.Server{Handler: routes(db)}, httpcore.WithLoops(1),
		httpcore.WithReady(func(i httpcore.Info) { ready <- i.Addr.String() }))
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
