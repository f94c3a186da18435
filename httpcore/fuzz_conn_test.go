//go:build linux

package httpcore

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// fuzzInline and fuzzAdaptive are servers for the whole process.
var (
	fuzzInline   = sync.OnceValue(func() string { return fuzzServer(Inline) })
	fuzzAdaptive = sync.OnceValue(func() string { return fuzzServer(Adaptive) })
)

// fuzzServer starts a server whose handler reads all that a handler can read, so
// that what slips through is parsed.
func fuzzServer(d Dispatch) string {
	addr := make(chan string, 1)
	s := New(&fasthttp.Server{
		Logger: &logBuffer{}, MaxRequestBodySize: 1 << 16,
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.Write(ctx.Path())
			ctx.PostArgs()
			ctx.QueryArgs()
			ctx.Request.Header.Cookie("a")
			ctx.MultipartForm()
		},
	}, WithDriver(Epoll), WithLoops(1), WithDispatch(d), WithReady(func(i Info) { addr <- i.Addr.String() }))
	go s.ListenAndServe("127.0.0.1:0")
	return <-addr
}

// FuzzConnection sends arbitrary bytes, cut into pieces anywhere, and then the
// end. Whatever they are, the server answers with whole responses and closes,
// and goes on serving others; and how its handlers are dispatched makes no
// difference.
func FuzzConnection(f *testing.F) {
	f.Add([]byte(script), uint64(0))
	f.Add([]byte(script), uint64(0x0102030405060708))
	for _, s := range []string{
		"", "\r\n", "GET", get("/"), get("/") + "\x00", get("/ok") + get("/ok") + get("/ok")[:20], get("/ok") + get("/ok") + get("/"), chunked("/", "A: b\r\n", "a", "bc"),
		request("POST", "/", "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--", "Content-Type: multipart/form-data; boundary=x"),
		request("POST", "/", "a=b&c=d", "Content-Type: application/x-www-form-urlencoded", "Expect: 100-continue"),
		"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nCONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n\x01\x02",
	} {
		f.Add([]byte(s), uint64(3))
	}
	f.Fuzz(func(t *testing.T, data []byte, cuts uint64) {
		inline, err := fuzzAnswers(t, fuzzInline(), data, cuts)
		adaptive, aerr := fuzzAnswers(t, fuzzAdaptive(), data, cuts)
		if err == nil && aerr == nil && !bytes.Equal(inline, adaptive) {
			t.Fatalf("inline:\n%.2000q\nadaptive:\n%.2000q", inline, adaptive)
		}
		wellFormed(t, fuzzInline())
		wellFormed(t, fuzzAdaptive())
	})
}

// byChance is what two servers may answer differently: the time, and 100 Continue,
// which a client gets or not as its body comes later or sooner.
var byChance = regexp.MustCompile(`Date: [^\r]*\r\n|HTTP/1.1 100 Continue\r\n\r\n`)

func fuzzDial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// fuzzAnswers returns what the server answers to data.
func fuzzAnswers(t *testing.T, addr string, data []byte, cuts uint64) ([]byte, error) {
	t.Helper()
	c := fuzzDial(t, addr)
	defer c.Close()
	go func() {
		for rest := data; len(rest) > 0; cuts = cuts>>8 | cuts<<56 {
			n := len(rest)
			if k := int(cuts & 0xff); k > 0 {
				n = min(n, k)
			}
			if _, err := c.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
		c.(*net.TCPConn).CloseWrite()
	}()
	b, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("neither answer nor end, after %q", b)
	}
	if len(b) > 0 && string(b[:min(len(b), 9)]) != "HTTP/1.1 " {
		t.Fatalf("what comes back is no response: %.100q", b)
	}
	return byChance.ReplaceAll(b, nil), err
}

// wellFormed fails unless the server serves a well-formed request.
func wellFormed(t *testing.T, addr string) {
	t.Helper()
	c := fuzzDial(t, addr)
	defer c.Close()
	io.WriteString(c, get("/ok"))
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r.Body); err != nil || string(b) != "/ok" {
		t.Fatalf("got %q, %v", b, err)
	}
}
