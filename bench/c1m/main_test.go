//go:build linux

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ringcore/ringcore/httpcore"
)

// TestMain lets the test program be the server and client processes.
func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestFlags(t *testing.T) {
	for _, args := range []string{
		"-n 0", "-n 5000000", "-active 0", "-active 101", "-every 1ms", "-for 1s -every 2s", "-for 2h",
		"-driver kqueue", "-per-process 100000000", "now", "-what",
	} {
		if _, err := parseFlags(strings.Fields(args)); err == nil {
			t.Errorf("%s: accepted", args)
		}
	}
	c, err := parseFlags(nil)
	if err != nil || c.n != 1_000_000 || c.active != 0.01 || c.perProcess < 1 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestShares(t *testing.T) {
	for _, n := range []int{1, 7, 1000} {
		for count := 1; count <= min(n, 9); count++ {
			sum := 0
			for i := range count {
				sum += share(n, i, count)
			}
			if sum != n {
				t.Errorf("%d in %d parts: %d", n, count, sum)
			}
		}
	}
	seen := make(map[string]bool)
	for i := range 1000 {
		seen[source(i).String()] = true
	}
	if len(seen) != 1000 || seen["127.1.0.0"] || seen["127.1.0.255"] {
		t.Errorf("%d different sources", len(seen))
	}
}

// TestHolds holds a few connections over several processes.
func TestHolds(t *testing.T) {
	for _, driver := range []httpcore.DriverKind{httpcore.IOUring, httpcore.Epoll} {
		t.Run(driver.String(), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var out bytes.Buffer
			err := run(ctx, config{
				n: 600, active: 0.1, every: 100 * time.Millisecond, watch: time.Second, driver: driver, perProcess: 250,
			}, &out, io.Discard)
			if err != nil && strings.Contains(err.Error(), "server 0") && driver == httpcore.IOUring {
				t.Skipf("no io_uring here: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), driver.String()) || !strings.Contains(out.String(), "3 servers on one port, 3 clients") {
				t.Errorf("%s", &out)
			}
			requests := regexp.MustCompile(`(\d+) requests in`).FindStringSubmatch(out.String())
			if requests == nil {
				t.Fatalf("no requests in\n%s", &out)
			}
			if n, _ := strconv.Atoi(requests[1]); n < 100 { // of 600; a loaded machine makes fewer
				t.Errorf("%d requests\n%s", n, &out)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, config{n: 10, active: 1, every: time.Second, watch: time.Second, perProcess: 10}, io.Discard, io.Discard); err == nil {
		t.Error("it did not stop")
	}
}
