//go:build linux

package httpcore

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// hugeSize is the size of the bodies that TestHugeBodies streams, in octets:
// 64 MiB (16 in short mode), or as many MiB as RINGCORE_HUGE_MIB says (2048:
// 2 GiB, which takes two minutes).
func hugeSize(t *testing.T) int {
	s := os.Getenv("RINGCORE_HUGE_MIB")
	switch {
	case s != "":
	case testing.Short():
		return 16 << 20
	default:
		return 64 << 20
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("RINGCORE_HUGE_MIB=%q: want a number of MiB", s)
	}
	return n << 20
}

// peakRSS returns the process's largest resident memory since it was last
// reset, in octets (proc_pid_status(5), proc_pid_clear_refs(5)).
func peakRSS(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

func resetPeakRSS(t *testing.T) {
	t.Helper()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// patternBody reads as pattern does, for as long as it is.
type patternBody struct{ at, n int }

func (b *patternBody) Read(p []byte) (int, error) {
	if b.at == b.n {
		return 0, io.EOF
	}
	p = p[:min(len(p), b.n-b.at)]
	for i := range p {
		j := b.at + i
		p[i] = byte(j ^ j>>8 ^ j>>16)
	}
	b.at += len(p)
	return len(p), nil
}

// maxHugeMemory is what client and server together may add to the process's
// resident memory while a body goes through, however long it is.
const maxHugeMemory = 40 << 20

// Bodies larger than memory go through either way with bounded memory, all
// octets right.
func TestHugeBodies(t *testing.T) {
	size := hugeSize(t)
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{StreamRequestBody: true, Handler: func(ctx *fasthttp.RequestCtx) {
			if ctx.IsGet() {
				n := size
				if ctx.QueryArgs().Has("chunked") {
					n = -1
				}
				ctx.SetBodyStream(&patternBody{n: size}, n)
				return
			}
			want := &patternBody{n: size}
			r := ctx.RequestBodyStream()
			got, buf, buf2 := 0, make([]byte, 64<<10), make([]byte, 64<<10)
			for {
				n, err := r.Read(buf)
				io.ReadFull(want, buf2[:n])
				if string(buf[:n]) != string(buf2[:n]) {
					ctx.Error("wrong octets", 500)
					return
				}
				if got += n; err != nil {
					break
				}
			}
			ctx.WriteString(itoa(got))
		}})
		before := peakRSS(t)
		resetPeakRSS(t)
		for _, way := range []string{"download", "download chunked", "upload", "upload chunked"} {
			start := time.Now()
			switch way {
			case "download", "download chunked":
				c := ts.dial()
				c.SetDeadline(time.Now().Add(5 * time.Minute))
				c.send(get("/?" + strings.TrimPrefix(way, "download ")))
				wantPattern(t, c.openResponse().Body, size)
				c.Close()
			default:
				body := &patternBody{n: size}
				req, err := http.NewRequest("POST", "http://"+ts.addr+"/", struct{ io.Reader }{body})
				if err != nil {
					t.Fatal(err)
				}
				if way == "upload" {
					req.ContentLength = int64(size)
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				b, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(b) != itoa(size) {
					t.Fatalf("the handler got %s of %d octets", b, size)
				}
			}
			grown := peakRSS(t) - before
			t.Logf("%s of %d MiB: %.1f s, peak resident memory %d MiB, %+d over before", way, size>>20, time.Since(start).Seconds(), peakRSS(t)>>20, grown>>20)
			if grown > maxHugeMemory {
				t.Errorf("%s: resident memory grew by %d MiB", way, grown>>20)
			}
		}
		http.DefaultClient.CloseIdleConnections()
	})
}

// An event stream whose client does not read waits, with bounded memory, and
// ends when the client goes.
func TestEventStreamOfAClientThatDoesNotRead(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		written := make(chan int, 1<<16)
		ended := make(chan error, 1)
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetContentType("text/event-stream")
			ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
				event := "data: " + strings.Repeat("x", 4000) + "\n\n"
				for n := 0; ; n += len(event) {
					w.WriteString(event)
					if err := w.Flush(); err != nil {
						ended <- err
						return
					}
					written <- n
				}
			})
		}})
		c := ts.dial()
		c.send(get("/"))
		events := bufio.NewReader(c.openResponse().Body)
		for range 1000 { // 4 MB, far more than anybody holds
			for _, want := range []string{"data: " + strings.Repeat("x", 4000) + "\n", "\n"} {
				if got, err := events.ReadString('\n'); got != want || err != nil {
					t.Fatalf("got %.40q, %v", got, err)
				}
			}
			<-written
		}
		// Now it does not read: the stream comes to a stop.
		eventually(t, "the stream waits", func() bool {
			n := len(written)
			time.Sleep(50 * time.Millisecond)
			return len(written) == n
		})
		if q := ts.queued(); q > 1<<20 {
			t.Errorf("%d octets wait for a client that does not read", q)
		}
		c.reset()
		<-ended
		ts.wantNoConns()
	})
}
