//go:build linux

package httpcore

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// readChunk reads one chunk of a chunked response as it is on the wire.
func (c *client) readChunk() string {
	c.t.Helper()
	var n int
	line, err := c.r.ReadString('\n')
	if err == nil {
		for _, d := range strings.TrimSpace(line) {
			n = n<<4 | int(hexValue(byte(d)))
		}
	}
	b := make([]byte, n+2)
	if err == nil {
		_, err = io.ReadFull(c.r, b)
	}
	if err != nil {
		c.t.Fatalf("chunk: %v", err)
	}
	return string(b[:n])
}

// What a stream writer flushes is sent before it goes on.
func TestStreamWriterFlushes(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		next := make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
				for _, s := range []string{"first", "second", "third"} {
					w.WriteString(s)
					w.Flush()
					<-next
				}
			})
		}})
		c := ts.dial()
		c.send(get("/"))
		c.rawHead()
		for _, s := range []string{"first", "second", "third", ""} {
			if got := c.readChunk(); got != s {
				t.Fatalf("got %q, want %q", got, s)
			}
			if s != "" {
				next <- struct{}{}
			}
		}
	})
}

func TestImmediateHeaderFlush(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		r, w := io.Pipe()
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.Response.ImmediateHeaderFlush = true
			ctx.SetBodyStream(r, 4)
		}})
		c := ts.dial()
		c.send(get("/"))
		c.rawHead() // before there is anything of a body
		io.WriteString(w, "body")
		w.Close() // fasthttp reads on to the end
		if b, err := c.r.Peek(4); string(b) != "body" {
			t.Fatalf("got %q, %v", b, err)
		}
	})
}

func TestPipelinedStreamsKeepTheirOrder(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			body := strings.Repeat(string(ctx.Path()[1:]), 50<<10)
			switch ctx.Path()[1] % 3 {
			case 0:
				ctx.SetBodyStream(strings.NewReader(body), -1)
			case 1:
				ctx.SetBodyStream(strings.NewReader(body), len(body))
			default:
				ctx.SetBodyString(body)
			}
		}})
		c := ts.dial()
		for range 3 {
			for ch := 'a'; ch <= 'z'; ch++ {
				c.send(get("/" + string(ch)))
			}
			for ch := 'a'; ch <= 'z'; ch++ {
				c.want(200, strings.Repeat(string(ch), 50<<10))
			}
		}
	})
}

func TestStreamErrorTruncates(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			r, w := io.Pipe()
			go func() {
				io.WriteString(w, strings.Repeat("x", 200<<10))
				w.CloseWithError(errors.New("on purpose"))
			}()
			ctx.SetBodyStream(r, -1)
		}})
		c := ts.dial()
		c.send(get("/"))
		if r, err := c.tryResponse("GET"); err == nil {
			t.Fatalf("a truncated body of %d bytes looks whole", len(r.body))
		}
		ts.wantNoConns()
	})
}

// A client that leaves stops the stream; nothing is left behind.
func TestClientThatLeavesStopsTheStream(t *testing.T) {
	for name, leave := range map[string]func(*client){"close": func(c *client) { c.Close() }, "reset": (*client).reset} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, m mode) {
				ended := make(chan error, 1)
				ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
					ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
						for {
							w.WriteString(strings.Repeat("x", 1000))
							if err := w.Flush(); err != nil {
								ended <- err
								return
							}
						}
					})
				}})
				c := ts.dial()
				c.send(get("/"))
				c.rawHead()
				leave(c)
				<-ended
				ts.wantNoConns()
			})
		})
	}
}

// A stream that waits learns from ctx.Done() that nobody listens any more.
func TestStreamThatWaitsLearnsOfTheEnd(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ended := make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			done := ctx.Done()
			ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
				w.WriteString("x")
				w.Flush()
				<-done
				close(ended)
			})
		}})
		c := ts.dial()
		c.send(get("/"))
		c.rawHead()
		c.reset()
		<-ended
		ts.wantNoConns()
	})
}
