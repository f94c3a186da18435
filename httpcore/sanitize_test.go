package httpcore

import (
	"bytes"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestSanitizeHead(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nX: y\r\n\r\n"
	for _, c := range []struct {
		in, out string
		whole   bool
	}{
		{ok, ok, true},
		{"\r\n", "\r\n", true}, // an empty trailer section
		{"A: b\r\n\r\n", "A: b\r\n\r\n", true},
		{"HTTP/1.1 200 O\x00K\r\nX:\t\xffy~\x7f\r\n\r\n", "HTTP/1.1 200 O K\r\nX:\t\xffy~ \r\n\r\n", true},
		{"A: b\rc\nd\r\r\n\r\n", "A: b c d \r\n\r\n", true},
		{"A: b\n\nc\r\n\r\n", "A: b  c\r\n\r\n", true},
		{"A: b\r\n\r\nc: d\r\n\r\n", "", false},
		{"\r\nA: b\r\n\r\n", "", false},
		{"A: b\r\n\r\n\r\n", "", false},
		{"A: b\r\n", "", false},
		{"A: b\r\n\r", "", false},
		{"A", "", false},
		{"", "", false},
	} {
		p := []byte(c.in)
		if whole := sanitizeHead(p); whole != c.whole || whole && string(p) != c.out {
			t.Errorf("%q: %v, %q; want %v, %q", c.in, whole, p, c.whole, c.out)
		}
	}
	for at := range 24 { // every octet at every place of a word
		for c := range 256 {
			p := []byte("X: " + strings.Repeat("v", 24) + "\r\n\r\n")
			want := bytes.Clone(p)
			p[3+at], want[3+at] = byte(c), byte(c)
			if c < ' ' && c != '\t' || c == 0x7f {
				want[3+at] = ' '
			}
			if !sanitizeHead(p) || !bytes.Equal(p, want) {
				t.Fatalf("octet %#x at %d: %q", c, at, p)
			}
		}
	}
}

// What a handler can set, with everything in it that splits a response
// (CWE-113): the head keeps its number of lines, without a control octet, or
// is not sent.
func TestResponseSplitting(t *testing.T) {
	const evil = "a\r\nInjected: 1\r\n\r\n<html>\x00\x0b\x7f\rb\nc"
	cookie := func() *fasthttp.Cookie {
		var c fasthttp.Cookie
		c.SetKey(evil)
		c.SetValue(evil)
		c.SetPath(evil)
		c.SetDomain(evil)
		return &c
	}
	for _, c := range []struct {
		name    string
		set     func(*fasthttp.Response)
		refused bool
	}{
		{"SetStatusMessage", func(r *fasthttp.Response) { r.Header.SetStatusMessage([]byte(evil)) }, false},
		{"SetProtocol", func(r *fasthttp.Response) { r.Header.SetProtocol([]byte(evil)) }, false},
		{"SetContentType", func(r *fasthttp.Response) { r.Header.SetContentType(evil) }, false},
		{"SetContentTypeBytes", func(r *fasthttp.Response) { r.Header.SetContentTypeBytes([]byte(evil)) }, false},
		{"SetContentEncodingBytes", func(r *fasthttp.Response) { r.Header.SetContentEncodingBytes([]byte(evil)) }, false},
		{"SetServerBytes", func(r *fasthttp.Response) { r.Header.SetServerBytes([]byte(evil)) }, false},
		{"SetCookie", func(r *fasthttp.Response) { r.Header.SetCookie(cookie()) }, false},
		{"DelClientCookie", func(r *fasthttp.Response) { r.Header.DelClientCookie(evil) }, false},
		{"Set-Cookie", func(r *fasthttp.Response) { r.Header.Set("Set-Cookie", evil) }, false},
		{"Content-Length", func(r *fasthttp.Response) { r.Header.Set("Content-Length", evil) }, false},
		{"Connection", func(r *fasthttp.Response) { r.Header.Set("Connection", evil) }, false},
		{"Trailer", func(r *fasthttp.Response) { _ = r.Header.SetTrailer(evil) }, false},
		{"Set value", func(r *fasthttp.Response) { r.Header.Set("X-A", evil) }, false},
		{"Add value", func(r *fasthttp.Response) { r.Header.Add("X-A", evil) }, false},
		{"Set name", func(r *fasthttp.Response) { r.Header.Set(evil, "v") }, false},
		{"AddBytesKV", func(r *fasthttp.Response) { r.Header.AddBytesKV([]byte(evil), []byte(evil)) }, false},
		{"SetBytesK", func(r *fasthttp.Response) { r.Header.SetBytesK([]byte(evil), evil) }, false},
		{"SetCanonical value", func(r *fasthttp.Response) { r.Header.SetCanonical([]byte("X-A"), []byte(evil)) }, false},
		{"SetCanonical name", func(r *fasthttp.Response) { r.Header.SetCanonical([]byte(evil), []byte("v")) }, true},
		{"SetCanonical short name, LF", func(r *fasthttp.Response) { r.Header.SetCanonical([]byte("A\nB"), []byte("v")) }, true},
		{"SetCanonical name, CRLF at its end", func(r *fasthttp.Response) { r.Header.SetCanonical([]byte("X-Good: v\r\nX-Bad"), []byte("v")) }, true},
		{"value changed behind fasthttp's back", func(r *fasthttp.Response) {
			r.Header.Set("X-A", "a....b")
			copy(r.Header.Peek("X-A"), "a\r\n\r\nb")
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r fasthttp.Response
			r.Header.SetContentType("text/plain")
			r.Header.SetServer("s")
			before := bytes.Count(r.Header.Header(), []byte("\n"))
			c.set(&r)
			names := namesEndNoLine(&r.Header)
			p := bytes.Clone(r.Header.Header())
			whole := sanitizeHead(p)
			if refused := !names || !whole; refused != c.refused {
				t.Fatalf("refused %v, want %v: %q", refused, c.refused, p)
			}
			if c.refused {
				return
			}
			if lines := bytes.Count(p, []byte("\n")); lines > before+1 {
				t.Errorf("%d lines, had %d: %q", lines, before, p)
			}
			if bytes.Contains(p, []byte("\nInjected")) || bytes.ContainsAny(p, "\x00\x0b\x7f") ||
				bytes.Count(p, []byte("\r")) != bytes.Count(p, []byte("\r\n")) || bytes.Count(p, []byte("\n")) != bytes.Count(p, []byte("\r\n")) {
				t.Errorf("%q", p)
			}
		})
	}
}

// A line end at every place of names of every length, and names without one.
func TestNamesEndNoLine(t *testing.T) {
	for n := 1; n < 40; n++ {
		for at := -1; at < n; at++ {
			for _, c := range []struct{ octets, end string }{{"a-Z", "\r"}, {"a-Z", "\n"}, {"\xff~ :\x00", "\n"}} {
				name := bytes.Repeat([]byte(c.octets), n)[:n]
				if at >= 0 {
					name[at] = c.end[0]
				}
				var h fasthttp.ResponseHeader
				h.SetCanonical(name, []byte("v"))
				if got := namesEndNoLine(&h); got != (at < 0) {
					t.Fatalf("%q: %v", name, got)
				}
			}
		}
	}
}

func FuzzSanitizeHead(f *testing.F) {
	for _, s := range []string{"a: b\r\n\r\n", "a\x00\r\r\n\n\r\n\r\n", "\r\n", "a\xff~\x7f\r\n\r\n\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		p := bytes.Clone(in)
		whole := sanitizeHead(p)
		if !whole {
			return
		}
		if i := bytes.Index(append([]byte("\r\n"), p...), []byte("\r\n\r\n")); i != len(p)-2 {
			t.Fatalf("%q: empty line at %d of %d", p, i, len(p))
		}
		for i, c := range p {
			switch {
			case c == '\r' && p[i+1] == '\n', c == '\n' && p[i-1] == '\r': // neither at an edge: it ends with CRLF
			case c < ' ' && c != '\t', c == 0x7f:
				t.Fatalf("%q: octet %#x", p, c)
			case c != in[i] && (c != ' ' || in[i] >= ' ' && in[i] != 0x7f):
				t.Fatalf("%q became %q", in, p)
			}
		}
	})
}
