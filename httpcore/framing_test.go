//go:build linux

package httpcore

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// A stream of requests, and what the echo handler makes of it.
const script = "GET /a?x=1 HTTP/1.1\r\nHost: test\r\n\r\n" +
	"POST /b HTTP/1.1\r\nHost: test\r\nContent-Length: 11\r\n\r\nhello world" +
	"POST /c HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" +
	"5;ext=1;q=\"a b\"\r\nhello\r\n06\r\n world\r\n0;last\r\nX-Sum: 42\r\n\r\n" +
	"PUT /d HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody" +
	"\r\nGET /e HTTP/1.1\r\nHost: test\r\n\r\nGET /f HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"

var scriptAnswers = []string{
	"GET /a?x=1||", "POST /b|hello world|", "POST /c|hello world|42", "PUT /d|body|", "GET /e||", "GET /f||",
}

func (c *client) wantScript() {
	c.t.Helper()
	for _, w := range scriptAnswers {
		c.want(200, w)
	}
	c.wantEOF()
}

func TestEverySplitOfAStreamIsTheSame(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		for i := 1; i < len(script); i++ {
			c := ts.dial() // Go sets TCP_NODELAY
			c.send(script[:i])
			c.send(script[i:])
			c.wantScript()
			c.Close()
		}
	})
}

func TestOneByteAtATime(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		c := ts.dial()
		go func() {
			for i := range len(script) {
				if _, err := io.WriteString(c, script[i:i+1]); err != nil {
					return
				}
			}
		}()
		c.wantScript()
	})
}

func TestMalformedRequestsAreRefusedAndTheConnectionCloses(t *testing.T) {
	cases := []struct {
		name, head string
		status     int
	}{
		{"no request line", "garbage\r\n\r\n", 400},
		{"NUL", "GET / HTTP/1.1\r\nHost: te\x00st\r\n\r\n", 400},
		{"TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
		{"bare LF", "GET / HTTP/1.1\nHost: test\n\n", 400},
		{"folded field", "GET / HTTP/1.1\r\nHost: test\r\nA: b\r\n c\r\n\r\n", 400},
		{"space in name", "GET / HTTP/1.1\r\nHost: test\r\nA b: c\r\n\r\n", 400},
		{"space before colon", "GET / HTTP/1.1\r\nHost : test\r\n\r\n", 400},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
		{"bad Host", "GET / HTTP/1.1\r\nHost: a<b>\r\n\r\n", 400},
		{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400},
		{"length and chunked", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
		{"huge length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
		{"identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400},
		{"gzip, chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
		{"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
		{"unknown expectation", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\nx", 417},
		{"bad chunk size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
		{"chunk without CRLF", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab0\r\n\r\n", 400},
		{"trailer with framing", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n", 400},
		{"bad escape in URI host", "GET http://a%zz/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	}
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				c := ts.dial()
				c.t = t
				c.send(tc.head)
				c.wantRefusal(tc.status)
				c.Close()
			})
		}
		ts.wantNoConns()
	})
}

func TestGoodRequestsBeforeABadOneAreAnswered(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		for _, bad := range []string{"\x00", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: z\r\n\r\n"} {
			c := ts.dial()
			c.send(get("/1") + request("POST", "/2", "two") + bad + get("/never"))
			c.want(200, "GET /1||")
			c.want(200, "POST /2|two|")
			c.wantRefusal(400)
		}
	})
}

func TestRefusalIsReadableAlthoughMoreWasSent(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		c := ts.dial()
		// Unread input would turn the server's close into a reset, which
		// takes the answer away from the client.
		c.send("GET / HTTP/1.1\r\nHost: a b\r\n\r\n" + strings.Repeat("x", 512<<10))
		c.wantRefusal(400)
	})
}

func TestVersions(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		c := ts.dial()
		c.send("GET /1 HTTP/1.2\r\nHost: test\r\n\r\n" + get("/2", "Connection: close"))
		if r := c.want(200, "GET /1||"); r.Close || r.Proto != "HTTP/1.1" {
			t.Fatalf("HTTP/1.2 is answered with %s, close %v", r.Proto, r.Close)
		}
		c.want(200, "GET /2||")
		c.wantEOF()
	})
}

func TestHTTP10(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		t.Run("close", func(t *testing.T) {
			c := ts.dial()
			c.send("GET /1 HTTP/1.0\r\n\r\n")
			if r := c.want(200, "GET /1||"); r.ContentLength != 8 {
				t.Fatalf("Content-Length is %d", r.ContentLength)
			}
			c.wantEOF()
		})
		t.Run("keep-alive", func(t *testing.T) {
			c := ts.dial()
			for range 3 {
				c.send("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
				if r := c.want(200, "GET /1||"); !strings.EqualFold(r.Header.Get("Connection"), "keep-alive") {
					t.Fatalf("Connection is %q", r.Header.Get("Connection"))
				}
			}
		})
		t.Run("expect is ignored", func(t *testing.T) {
			c := ts.dial()
			c.send("POST /1 HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
			c.wantNothing()
			c.send("ab")
			if r := c.response("POST"); r.StatusCode != 200 || r.body != "POST /1|ab|" {
				t.Fatalf("got %d %q", r.StatusCode, r.body)
			}
		})
	})
}

func TestConnectionClose(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			switch string(ctx.Path()) {
			case "/close":
				ctx.SetConnectionClose()
			case "/never":
				t.Error("a request behind the last one is handled")
			}
			echo(ctx)
		}})
		for name, stream := range map[string]string{
			"asked for by the client":  request("POST", "/1", "a", "Connection: close"),
			"asked for by the handler": request("POST", "/close", "a"),
		} {
			c := ts.dial()
			c.send(stream + get("/never"))
			if r := c.wantStatus(200); !r.Close {
				t.Fatalf("%s: the response does not say so", name)
			}
			c.wantEOF()
		}
	})
}

func TestManyEmptyLinesAreRefused(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		c := ts.dial()
		c.send("\r\n\r\n" + get("/1"))
		c.want(200, "GET /1||")
		c.send(strings.Repeat("\r\n", maxEmptyLines+1))
		c.wantRefusal(400)
	})
}

func TestHeadSizes(t *testing.T) {
	big := func(n int) string { // a head of n octets in lines of browser-like cookies
		h := "GET /big HTTP/1.1\r\nHost: test\r\n"
		for i := 0; n-len(h)-2 > 300; i++ {
			h += fmt.Sprintf("X-%d: %s\r\n", i, strings.Repeat("c", 100))
		}
		return h + "Y: " + strings.Repeat("y", n-len(h)-2-5) + "\r\n\r\n"
	}
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		path := "/" + strings.Repeat("p", 8000-len("GET / HTTP/1.1"))
		c := ts.dial()
		c.send(get(path)) // a request line of 8000 octets: RFC 9112 section 3
		c.want(200, "GET "+path+"||")
		c.send(big(15<<10) + big(defaultHeadLimit))
		c.want(200, "GET /big||")
		c.want(200, "GET /big||")
		c.send(big(defaultHeadLimit + 1))
		c.wantRefusal(431)

		c = ts.dial()
		c.send("GET / HTTP/1.1\r\nHost: test\r\nX: " + strings.Repeat("x", 20<<10)) // without end
		c.wantRefusal(431)

		ts = serve(t, m, &fasthttp.Server{Handler: echo, ReadBufferSize: 1000})
		c = ts.dial()
		c.send(big(1000))
		c.want(200, "GET /big||")
		c.send(big(1001))
		c.wantRefusal(431)
	})
}
