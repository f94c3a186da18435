//go:build linux

package httpcore

import (
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// Each smuggling vector on the wire: it is refused, the connection closes, and
// no handler sees what was hidden. Streamed bodies begin before they are known
// to be bad; they end no better.
func TestSmugglingOnTheWire(t *testing.T) {
	for name, streams := range map[string]bool{"whole bodies": false, "streamed bodies": true} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, m mode) {
				var reached atomic.Bool
				ts := serve(t, m, &fasthttp.Server{StreamRequestBody: streams, Handler: func(ctx *fasthttp.RequestCtx) {
					if string(ctx.Path()) == "/hidden" {
						reached.Store(true)
					}
					if s := ctx.RequestBodyStream(); s != nil {
						io.Copy(io.Discard, s)
					}
				}})
				for _, v := range smugglingVectors() {
					c := ts.dial()
					c.send(v.stream)
					r := c.final("POST")
					if want := refusalStatus(v.want); !r.Close || r.StatusCode != want && !(streams && r.StatusCode == 200) {
						t.Errorf("%s: got %d, close %v, want %d and the close", v.name, r.StatusCode, r.Close, want)
					}
					if streams { // an answer that was on its way may have been cut
						io.Copy(io.Discard, c.r)
					} else {
						c.wantEOF()
					}
					c.Close()
					if reached.Swap(false) {
						t.Errorf("%s: the hidden request is handled", v.name)
					}
				}
			})
		})
	}
}

// Bodies that cost more than they carry are refused early: trailers and chunk
// extensions without end.
func TestWastefulBodiesOnTheWire(t *testing.T) {
	head := "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		for name, tc := range map[string]struct {
			begin, again string
			status       int
		}{
			"trailers":          {head + "0\r\n", "A: " + strings.Repeat("b", 1000) + "\r\n", 431},
			"one extension":     {head + "1;e=", strings.Repeat("e", 1000), 400},
			"extensions":        {head, "1;e=" + strings.Repeat("e", 500) + "\r\nx\r\n", 400},
			"chunk size digits": {head, "0", 400},
		} {
			c := ts.dial()
			done := make(chan int, 1)
			go func() {
				sent, _ := io.WriteString(c, tc.begin)
				for sent < 16<<20 {
					n, err := io.WriteString(c, tc.again)
					if sent += n; err != nil {
						break
					}
				}
				done <- sent
			}()
			if r := c.final("POST"); r.StatusCode != tc.status || !r.Close {
				t.Errorf("%s: got %d, close %v, want %d", name, r.StatusCode, r.Close, tc.status)
			}
			c.SetDeadline(time.Now()) // the writer need not go on
			<-done
			c.Close()
		}
		ts.wantNoConns()
	})
}
