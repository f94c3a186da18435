package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ringcore/ringcore/httpcore"
)

// stream opens the page's events; next returns one after the other.
func stream(t *testing.T, p *process) (next func() sample, res *http.Response) {
	t.Helper()
	res, err := (&http.Client{}).Get(p.url + "/_ringcore/events") // it ends by no timeout
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if kind := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || kind != "text/event-stream" {
		t.Fatalf("status %d, content type %q", res.StatusCode, kind)
	}
	lines := bufio.NewScanner(res.Body)
	return func() (s sample) {
		t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &s); err != nil {
					t.Fatalf("%v in %q", err, data)
				}
				return s
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return s
	}, res
}

func TestPage(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there are no loops on this system")
	}
	for _, s := range setups() {
		if s[1] == "inline" {
			continue // one way of dispatch is enough for the page
		}
		t.Run(s[0]+"/"+s[1], func(t *testing.T) {
			t.Parallel() // a sample a second
			p := startServer(t, "-driver", s[0], "-dispatch", s[1], "-loops", "1")
			res, err := client.Get(p.url + "/_ringcore")
			if err != nil {
				t.Fatal(err)
			}
			html, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if string(html) != string(pageHTML) || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("the page: %d octets, %v", len(html), res.Header)
			}
			next, _ := stream(t, p)
			first := next()
			if first.Driver != s[0] || first.Dispatch != s[1] || len(first.Loops) != 1 {
				t.Fatalf("%+v", first)
			}
			stop := make(chan struct{})
			done := make(chan struct{})
			go func() { // until the page has seen it
				defer close(done)
				for {
					select {
					case <-stop:
						return
					default:
						res, err := client.Get(p.url + "/plaintext")
						if err != nil {
							t.Error(err)
							return
						}
						_, _ = io.Copy(io.Discard, res.Body)
						_ = res.Body.Close()
					}
				}
			}()
			for {
				l := next().Loops[0]
				if l.ResponsesPerS > 0 && l.P50 > 0 && l.P99 >= l.P50 && l.Connections >= 2 &&
					l.CompletionsPerTurn != nil && *l.CompletionsPerTurn > 0 && l.OperationsPerEnter != nil {
					break
				}
			}
			close(stop)
			<-done
			other, res2 := stream(t, p) // a second viewer, who goes first
			other()
			_ = res2.Body.Close()
			next()
		})
	}
}

// A viewer does not hold up the end.
func TestPageEnds(t *testing.T) {
	for _, driver := range stopSetups(t) {
		t.Run(driver, func(t *testing.T) {
			p := startServer(t, "-driver", driver)
			next, res := stream(t, p)
			if runtime.GOOS == "linux" {
				next()
			}
			p.signal(os.Interrupt)
			_, _ = io.Copy(io.Discard, res.Body)
			if code := p.wait(); code != 0 {
				t.Errorf("exit %d, stderr %q", code, &p.stderr)
			}
		})
	}
}

func TestPageHasRoomForSome(t *testing.T) {
	p := &page{running: true} // without a sampler
	var all []chan []byte
	for v := p.join(); v != nil; v = p.join() {
		all = append(all, v)
	}
	if len(all) != pageViewers {
		t.Errorf("%d viewers, want %d", len(all), pageViewers)
	}
	if !p.send([]byte("x")) || !p.send([]byte("y")) { // slow viewers hold nobody up
		t.Error("nobody looks")
	}
	for _, v := range all {
		p.leave(v)
	}
	if p.send(nil) || p.running {
		t.Error("it goes on without viewers")
	}
}

func TestSample(t *testing.T) {
	before := []httpcore.LoopStats{{Responses: 100, Turns: 10, Enters: 5, Completed: 50, Submitted: 20}, {}}
	now := []httpcore.LoopStats{
		{Conns: 3, Responses: 300, Turns: 20, Enters: 10, Completed: 150, Submitted: 70, P50: 2 * time.Millisecond},
		{Busy: true, Conns: 7, TakenOver: 1},
	}
	s := newSample(httpcore.Info{Driver: "epoll"}, before, now, 2*time.Second)
	a, b := s.Loops[0], s.Loops[1]
	if a.ResponsesPerS != 100 || a.P50 != 2000 || *a.CompletionsPerTurn != 10 || *a.OperationsPerEnter != 10 || a.Connections != 3 {
		t.Errorf("%+v", a)
	}
	if !b.Busy || b.Connections != 7 || b.TakenOver != 1 || b.CompletionsPerTurn != nil {
		t.Errorf("%+v", b)
	}
	if kept := keepCounters(before, now); kept[1].Busy || kept[0].Responses != 300 {
		t.Errorf("%+v", kept)
	}
	if s := newSample(httpcore.Info{}, nil, nil, time.Second); s.Loops == nil {
		t.Error("null instead of an empty list")
	}
}
