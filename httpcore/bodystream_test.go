//go:build linux

package httpcore

import (
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// patternReader yields n octets that differ from place to place, without holding them.
type patternReader struct {
	at, n int64
	peak  uint64 // of the heap, sampled every 4 MiB
}

func (p *patternReader) Read(b []byte) (int, error) {
	if p.at == p.n {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.n-p.at)]
	if p.at>>22 != (p.at+int64(len(b)))>>22 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		p.peak = max(p.peak, m.HeapAlloc)
	}
	for i := range b {
		b[i] = byte((p.at + int64(i)) * 31 >> 3)
	}
	p.at += int64(len(b))
	return len(b), nil
}

// sumBody answers length and checksum of the body that it streams.
func sumBody(ctx *fasthttp.RequestCtx) {
	h := crc32.NewIEEE()
	n, err := io.Copy(h, ctx.RequestBodyStream())
	fmt.Fprintf(ctx, "%d %08x %v", n, h.Sum32(), err)
}

func TestStreamedUpload(t *testing.T) {
	const size = 32 << 20
	h := crc32.NewIEEE()
	io.Copy(h, &patternReader{n: size})
	want := fmt.Sprintf("%d %08x <nil>", size, h.Sum32())
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: sumBody, StreamRequestBody: true})
		for _, length := range []int64{size, -1} { // by Content-Length, and chunked
			upload := &patternReader{n: size}
			req, _ := http.NewRequest("POST", "http://"+ts.addr+"/", io.NopCloser(upload))
			req.ContentLength = length
			runtime.GC()
			var before runtime.MemStats
			runtime.ReadMemStats(&before)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(body) != want {
				t.Fatalf("got %q, want %q", body, want)
			}
			if upload.peak > before.HeapAlloc+size/2 {
				t.Errorf("a streamed upload of %d MiB held %d MiB of memory", size>>20, (upload.peak-before.HeapAlloc)>>20)
			}
		}
		http.DefaultClient.CloseIdleConnections()
	})
}

// A handler that answers from the head alone keeps the connection when little
// of the body is left, and ends it when much is.
func TestStreamedBodyLeftUnread(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: hello, StreamRequestBody: true})
		c := ts.dial()
		body := strings.Repeat("x", 100<<10)
		for range 3 {
			c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n", len(body)))
			if r := c.response("POST"); r.StatusCode != 200 || r.Close {
				t.Fatalf("got %d, close %v", r.StatusCode, r.Close)
			}
			c.send(body)
		}
		c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n", 1<<20))
		if r := c.response("POST"); r.StatusCode != 200 || !r.Close {
			t.Fatalf("with 1 MiB to come: got %d, close %v", r.StatusCode, r.Close)
		}
		c.wantEOF()
	})
}

// What is wrong with a streamed body reaches the handler from its Read.
func TestStreamedBodyCutOff(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		begun, read := make(chan bool, 1), make(chan error, 1)
		ts := serve(t, m, &fasthttp.Server{StreamRequestBody: true, Handler: func(ctx *fasthttp.RequestCtx) {
			begun <- true
			_, err := io.Copy(io.Discard, ctx.RequestBodyStream())
			read <- err
		}})
		for _, f := range []struct {
			send string
			end  func(*client)
		}{
			{"Content-Length: 10\r\n\r\nhalf", (*client).halfClose},
			{"Content-Length: 10\r\n\r\nhalf", (*client).reset},
			{"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", (*client).halfClose},
			{"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n", func(*client) {}},
		} {
			c := ts.dial()
			c.send("POST / HTTP/1.1\r\nHost: test\r\n" + f.send)
			<-begun
			f.end(c)
			if err := <-read; err == nil {
				t.Errorf("%q: the handler read to a good end", f.send)
			}
			c.Close()
		}
	})
}

func TestStreamedBodyExpectContinue(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: sumBody, StreamRequestBody: true})
		c := ts.dial()
		c.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		if line, err := c.r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("got %q, %v", line, err)
		}
		c.r.ReadString('\n')
		c.send("hello")
		if r := c.response("POST"); r.body != fmt.Sprintf("5 %08x <nil>", crc32.ChecksumIEEE([]byte("hello"))) {
			t.Fatalf("got %q", r.body)
		}
	})
}
