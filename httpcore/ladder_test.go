//go:build linux

package httpcore

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

// The ladder of resources: each made so small that it runs out all the time, on
// the real kernel. Nothing may be lost, and nothing may spin. (Descriptors, the
// last rung, run out in TestFDExhaustion.)

// rung is one resource that is short.
type rung struct {
	name   string
	tune   func(*conn.Options)
	driver DriverKind // Auto: both
}

var rungs = []rung{
	{"submission queue of one", func(o *conn.Options) { o.Entries, o.CQEntries = 1, 1024 }, IOUring},
	{"completion queue of two", func(o *conn.Options) { o.Entries, o.CQEntries = 2, 2 }, IOUring},
	{"one receive buffer", func(o *conn.Options) { o.Buffers, o.BufferSize = 1, 512 }, Auto},
	{"two small receive buffers", func(o *conn.Options) { o.Buffers, o.BufferSize = 2, 64 }, Auto},
	{"everything", func(o *conn.Options) {
		o.Entries, o.CQEntries, o.Buffers, o.BufferSize = 1, 2, 1, 512
		o.MaxQueued, o.HighWater = 2<<20, 4<<10
	}, Auto},
}

// enters is the number of system calls that the loops have made.
func (ts *testServer) enters() (n uint64) {
	for _, l := range ts.Stats(context.Background()) {
		n += l.Enters
	}
	return n
}

// wantRest fails if the loops make more than most system calls in a while in
// which nothing happens, a tenth of what one that spins would make.
func (ts *testServer) wantRest(while string, most uint64) {
	ts.t.Helper()
	eventually(ts.t, "the loops come to rest "+while, func() bool {
		before := ts.enters()
		time.Sleep(200 * time.Millisecond) // what is measured, not waited for
		return ts.enters()-before <= most
	})
}

func TestLadder(t *testing.T) {
	for _, r := range rungs {
		t.Run(r.name, func(t *testing.T) {
			run(t, func(t *testing.T, m mode) {
				if r.driver != Auto && r.driver != m.driver {
					t.Skip("a resource of io_uring's")
				}
				ts := serve(t, m, &fasthttp.Server{Handler: echo}, WithLoops(1),
					func(o *options) { o.tune.conn = r.tune })
				const clients, rounds = 48, 2
				held := make([]*client, clients)
				var all sync.WaitGroup
				for i := range held {
					held[i] = ts.dial()
					all.Go(func() {
						for round := range rounds {
							if err := held[i].crowd(i, round); err != nil {
								t.Errorf("client %d, round %d: %v", i, round, err)
								return
							}
						}
					})
				}
				all.Wait()
				// Half a request from each takes what there is, and is finished later.
				for i, c := range held {
					c.send(fmt.Sprintf("POST /half/%d HTTP/1.1\r\nHost: test\r\nContent-Length: 700\r\n\r\n", i))
					c.send(string(make([]byte, 300)))
				}
				ts.wantRest("with half a request from each", 10)
				for i, c := range held {
					c.send(string(make([]byte, 400)))
					if resp := c.response("POST"); resp.StatusCode != 200 || len(resp.body) < 700 {
						t.Fatalf("client %d: %d with %d octets", i, resp.StatusCode, len(resp.body))
					}
				}
			})
		})
	}
}

// crowd sends several requests at once and checks the answers.
func (c *client) crowd(i, round int) error {
	const several = 6
	var out bytes.Buffer
	for n := range several {
		body := pattern(n * 900)
		fmt.Fprintf(&out, "POST /%d/%d/%d HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n", i, round, n, len(body))
		out.Write(body)
	}
	if _, err := c.Write(out.Bytes()); err != nil {
		return err
	}
	for n := range several {
		resp, err := c.tryResponse("POST")
		if err != nil {
			return fmt.Errorf("request %d: %w", n, err)
		}
		want := fmt.Sprintf("POST /%d/%d/%d|%s|", i, round, n, pattern(n*900))
		if resp.StatusCode != 200 || resp.body != want {
			return fmt.Errorf("request %d: %d, %d octets %.20q, not those of %.20q", n, resp.StatusCode, len(resp.body), resp.body, want)
		}
	}
	return nil
}

// TestLadderSendBuffers: clients that do not read use all memory for sending up.
// Meanwhile nothing spins, and once they read, each gets everything, and so do
// those who came when there was none.
func TestLadderSendBuffers(t *testing.T) {
	const size, greedy = 8 << 20, 8
	run(t, func(t *testing.T, m mode) {
		body := pattern(size)
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			if string(ctx.Path()) == "/big" {
				ctx.SetBodyStream(bytes.NewReader(body), size)
				return
			}
			hello(ctx)
		}}, WithLoops(1), func(o *options) {
			o.tune.conn = func(o *conn.Options) { o.MaxQueued, o.HighWater = 1<<20, 1<<20 }
		})
		var held []net.Conn
		for range greedy {
			c, err := net.Dial("tcp", ts.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			io.WriteString(c, "GET /big HTTP/1.1\r\nHost: test\r\n\r\n")
			held = append(held, c)
		}
		eventually(t, "memory for sending is used up", func() bool { return ts.queued() > 3<<19 }) // of 2 MiB
		ts.wantRest("while nobody reads", 100)                                                     // it looks again every 10 ms
		late := ts.dial()
		late.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
		var all sync.WaitGroup
		for i, c := range held {
			all.Go(func() {
				resp, err := http.ReadResponse(bufio.NewReaderSize(c, 64<<10), nil)
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("client %d: %v, %d octets, want %d", i, err, len(got), size)
				}
			})
		}
		if resp := late.response("GET"); resp.body != "Hello, World!" {
			t.Errorf("the client that came late got %q", resp.body)
		}
		all.Wait()
		ts.wantRest("when everything is read", 10)
	})
}
