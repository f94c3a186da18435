//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/ringcore/ringcore/ring"
)

func probe() error {
	_, err := ring.Probe(ring.TierBest)
	return err
}

// figures are what a load generator says.
type figures struct {
	rps  float64
	mean time.Duration
}

const (
	crossConns = 40
	crossWait  = 20 * time.Millisecond
	crossMost  = crossConns * float64(time.Second) / float64(crossWait) // requests/s
)

// TestAgainstOthers has this program, wrk and h2load put the same load on the
// same server. Its handler waits 20 ms, so that 40 connections make 2,000
// requests/s at most, whoever asks. A busy machine disturbs now the one and now
// the other: they have to agree in one of some rounds.
func TestAgainstOthers(t *testing.T) {
	const rounds = 8
	url := startServer(t) + "/slow?ms=20"
	others := map[string]func(t *testing.T) figures{
		"wrk": func(t *testing.T) figures {
			text := other(t, "wrk", "-t1", "-c40", "-d1s", url)
			return figures{number(t, text, `Requests/sec:\s+([\d.]+)`), duration(t, text, `Latency\s+([\d.]+m?u?s)`)}
		},
		"h2load": func(t *testing.T) figures {
			text := other(t, "h2load", "--h1", "-t1", "-c40", "-D1", url)
			return figures{number(t, text, `finished in .*, ([\d.]+) req/s`), duration(t, text, `time for request:\s+\S+\s+\S+\s+([\d.]+m?u?s)`)}
		},
	}
	for _, driver := range []string{"io_uring", "epoll"} {
		for name, run := range others {
			t.Run(driver+"/"+name, func(t *testing.T) {
				for range rounds {
					a, b := ours(t, driver, url), run(t)
					t.Logf("here %.0f requests/s, mean latency %v; %s %.0f, %v", a.rps, a.mean, name, b.rps, b.mean)
					if agree(a, b) {
						return
					}
				}
				t.Errorf("no agreement in %d rounds", rounds)
			})
		}
	}
}

// agree reports whether throughput and latency are the same within 10 %, and
// what follows from each other (Little's law): the requests under way.
func agree(a, b figures) bool {
	near := func(x, y float64) bool { return x > 0.9*y && x < 1.1*y }
	return near(a.rps, b.rps) && near(a.mean.Seconds(), b.mean.Seconds()) && near(a.rps*a.mean.Seconds(), crossConns)
}

func ours(t *testing.T, driver, url string) figures {
	requireDriver(t, driver)
	r := runLoad(t, 0, "-driver", driver, "-c", "40", "-d", "1s", url)
	f := figures{r.ResponsesPerS, time.Duration(r.LatencyUs.Mean * 1e3)}
	if f.rps > 1.03*crossMost || f.mean < crossWait {
		t.Errorf("%+v: more than the server can do", f)
	}
	return f
}

func other(t *testing.T, name string, args ...string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s here", name)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func find(t *testing.T, text, pattern string) string {
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in\n%s", pattern, text)
	}
	return m[1]
}

func number(t *testing.T, text, pattern string) float64 {
	v, err := strconv.ParseFloat(find(t, text, pattern), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func duration(t *testing.T, text, pattern string) time.Duration {
	d, err := time.ParseDuration(find(t, text, pattern))
	if err != nil {
		t.Fatal(fmt.Errorf("%w in\n%s", err, text))
	}
	return d
}
