//go:build linux

package httpcore

import (
	"bufio"
	"bytes"
	"runtime"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	bigSize    = 64 << 20
	writerSize = 16 << 20 // fasthttp writes such a body in pieces of 4 KiB
)

var bigBody = pattern(bigSize)

// bigResponse answers with bigBody, in one of four ways, but to /small.
func bigResponse(ctx *fasthttp.RequestCtx) {
	switch string(ctx.Path()) {
	case "/small":
		ctx.WriteString("small")
	case "/stream":
		ctx.SetBodyStream(bytes.NewReader(bigBody), bigSize)
	case "/chunks":
		ctx.SetBodyStream(bytes.NewReader(bigBody), -1)
	case "/writer":
		ctx.SetBodyStreamWriter(func(w *bufio.Writer) { w.Write(bigBody[:writerSize]) })
	default:
		ctx.Response.SetBodyRaw(bigBody)
	}
}

func TestResponsesOfAllSizes(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			n, _ := ctx.QueryArgs().GetUint("n")
			switch string(ctx.Path()) {
			case "/stream":
				ctx.SetBodyStream(bytes.NewReader(bigBody[:n]), n)
			case "/chunks":
				ctx.SetBodyStream(bytes.NewReader(bigBody[:n]), -1)
			default:
				ctx.Write(bigBody[:n])
			}
		}})
		c := ts.dial()
		for _, n := range []int{0, 1, 1000, 2 << 10, 16<<10 - 200, 16 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, 129 << 10, 1 << 20, 10<<20 + 7} {
			for _, path := range []string{"/memory", "/stream", "/chunks"} {
				c.send(get(path + "?n=" + itoa(n)))
				resp := c.openResponse()
				if path == "/chunks" != (resp.ContentLength == -1) {
					t.Fatalf("%s, %d bytes: Content-Length %d", path, n, resp.ContentLength)
				}
				wantPattern(t, resp.Body, n)
				if k, err := resp.Body.Read(make([]byte, 1)); k > 0 {
					t.Fatalf("%s, %d bytes: more came, %v", path, n, err)
				}
			}
		}
	})
}

// However slow its reader, a response of 64 MiB holds HighWater bytes.
func TestSlowReaderOfALargeResponse(t *testing.T) {
	for _, path := range []string{"/memory", "/stream", "/chunks", "/writer"} {
		t.Run(path[1:], func(t *testing.T) {
			run(t, func(t *testing.T, m mode) {
				ts := serve(t, m, &fasthttp.Server{Handler: bigResponse})
				slow := ts.dial()
				slow.send(get(path))
				const highWater = 128 << 10
				eventually(t, "the response is held up", func() bool { return ts.queued() >= highWater/4 })
				for range 5 {
					if n := ts.queued(); n > highWater {
						t.Fatalf("%d bytes are queued, more than %d", n, highWater)
					}
					time.Sleep(2 * time.Millisecond)
				}
				ts.wantServes("/small", "small") // others are served
				size := bigSize
				if path == "/writer" {
					size = writerSize
				}
				wantPattern(t, slow.openResponse().Body, size)
			})
		})
	}
}

// An exchange gives large buffers back.
func TestMemoryOfLargeBodiesComesBack(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{MaxRequestBodySize: 16 << 20, Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.Write(ctx.PostBody())
		}})
		heap := func() uint64 {
			runtime.GC()
			runtime.GC() // sync.Pools are emptied by the second one
			var ms runtime.MemStats
			runtime.ReadMemStats(&ms)
			return ms.HeapAlloc
		}
		before := heap()
		var clients []*client
		for range 4 {
			c := ts.dial()
			clients = append(clients, c)
			body := string(bigBody[:8<<20])
			go c.Write([]byte(request("POST", "/", body)))
			wantPattern(t, c.openResponse().Body, len(body))
		}
		eventually(t, "the heap is small again", func() bool { return heap() < before+4<<20 })
		runtime.KeepAlive(clients)
	})
}
