//go:build linux

package httpcore

import (
	"bufio"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestHeadMeaning(t *testing.T) {
	for _, c := range []struct {
		head         string
		stays, plain bool
	}{
		{"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", true, true},
		{"GET /a HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nAccept: */*\r\n\r\n", true, true},
		{"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", true, false},
		{"GET /a HTTP/1.0\r\nHost: h\r\n\r\n", true, false},
		{"GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", true, false},
		{"GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", true, false},
		{"GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", true, false},
		{"GET /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", true, false},
		{"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n", true, false},
		{"POST /a HTTP/1.1\r\nHost: h\r\n\r\n", true, false},
		{"GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", false, false},
		{"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", false, false},
	} {
		var g guard
		var h fasthttp.RequestHeader
		info := g.check([]byte(c.head))
		if err := h.Read(bufio.NewReader(strings.NewReader(c.head))); err != nil || info.refusal != nil {
			t.Fatalf("%q: %v, %v", c.head, err, info.refusal)
		}
		m := info.meaning(&h, []byte("/a"))
		if m.route != routeHash(h.Method(), []byte("/a")) || m.staysHTTP != c.stays || m.plain != c.plain {
			t.Errorf("%q: %+v, want staysHTTP %v, plain %v", c.head, m, c.stays, c.plain)
		}
	}
}
