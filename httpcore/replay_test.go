//go:build linux

package httpcore

import (
	"bufio"
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// difference says where two values of the same type differ, "" for nowhere.
// Slices are equal if their elements are; it does not look behind pointers.
func difference(a, b reflect.Value, path string) string {
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			switch a.Type().Field(i).Name {
			case "hostRaw", "hostParsed": // what a URI remembers of hosts that it has parsed: see below
				continue
			case "terminatorSearched": // cleared before it is used
				continue
			}
			if d := difference(a.Field(i), b.Field(i), path+"."+a.Type().Field(i).Name); d != "" {
				return d
			}
		}
		return ""
	case reflect.Slice:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %v and %v", path, a, b)
		}
		for i := range a.Len() {
			if d := difference(a.Index(i), b.Index(i), fmt.Sprintf("%s[%d]", path, i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Func:
		if a.IsNil() && b.IsNil() {
			return ""
		}
	default:
		if a.Equal(b) {
			return ""
		}
	}
	return fmt.Sprintf("%s: %v and %v", path, a, b)
}

func parseInto(req *fasthttp.Request, head string) bool {
	if req.Header.Read(bufio.NewReader(strings.NewReader(head))) != nil {
		return false
	}
	probe := new(fasthttp.URI)
	if probe.Parse(req.Header.Host(), req.Header.RequestURI()) != nil {
		return false
	}
	req.URI()
	return true
}

// spoil does to a request whatever a handler may do.
func spoil(req *fasthttp.Request) {
	for _, b := range [][]byte{req.Header.Method(), req.Header.Host(), req.Header.RawHeaders(), req.URI().Path(), req.URI().Host()} {
		for i := range b {
			b[i] = '!'
		}
	}
	req.URI().QueryArgs().Set("added", "yes")
	req.URI().SetHash("hash")
	req.URI().SetUsername("user")
	req.URI().SetPath(strings.Repeat("/long", 20))
	req.PostArgs().Set("a", "b")
	h := &req.Header
	h.Cookie("a")
	h.SetCookie("spoilt", "yes")
	h.Set("X-Spoilt", "yes")
	h.Del("Accept")
	h.SetMethod("SPOIL")
	h.SetHost("spoilt.example")
	h.SetUserAgent("spoilt")
	h.SetContentType("spoilt/spoilt")
	h.SetContentLength(17)
	h.SetConnectionClose()
	_ = h.AddTrailer("X-Trailer")
	h.DisableNormalizing()
	h.DisableSpecialHeader()
	h.SetNoDefaultContentType(true)
	req.SetRequestURI("http://spoilt.example/?x=y#z")
	req.UseHostHeader = true
	req.DisableRedirectPathNormalizing = true
	req.SetBodyString("body")
	req.SetUserValue("key", 1)
	_ = req.URI().FullURI()
	_ = req.String()
}

// checkReplay compares replaying head with parsing it, in a request that has
// served before and was handled badly. It reports whether head can be recorded.
func checkReplay(t *testing.T, head, before string) bool {
	t.Helper()
	var fresh fasthttp.Request
	if !parseInto(&fresh, head) {
		return false
	}
	var r recording
	if !r.record(&fresh) {
		return false
	}
	requests := [2]*fasthttp.Request{new(fasthttp.Request), new(fasthttp.Request)}
	for round := range 3 {
		for i, req := range requests {
			if !parseInto(req, before) {
				req.Reset()
			}
			if spoil(req); round > 0 {
				req.Reset()
				parseInto(req, head) // makes its lists long enough
			}
			req.Reset()
			if i == 0 {
				parseInto(req, head)
			} else if !r.replay(req) {
				if round > 0 {
					t.Fatalf("%q was not replayed", head)
				}
				parseInto(req, head)
			}
		}
		a, b := requests[0], requests[1]
		if d := difference(reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem(), "Request"); d != "" {
			t.Fatalf("%q after %q: round %d: parsed and replayed differ in %s", head, before, round, d)
		}
		if a.String() != b.String() || a.URI().String() != b.URI().String() || !bytes.Equal(a.Header.RawHeaders(), b.Header.RawHeaders()) {
			t.Fatalf("%q after %q: parsed\n%s\nreplayed\n%s", head, before, a, b)
		}
		for _, host := range []string{string(fresh.Header.Host()), string(fresh.URI().Host()), "spoilt.example"} {
			var want fasthttp.URI
			err := want.Parse([]byte(host), []byte("/path"))
			if e := b.URI().Parse([]byte(host), []byte("/path")); (e == nil) != (err == nil) || err == nil && b.URI().String() != want.String() {
				t.Fatalf("%q after %q: then host %q is parsed as %s (%v)", head, before, host, b.URI(), e)
			}
		}
	}
	return true
}

func TestReplay(t *testing.T) {
	heads := []string{smallHead, browserHead, "\r\n\r\n" + smallHead, head("GET http://u:p@h.example/b?c#d HTTP/1.1"), head("OPTIONS * HTTP/1.1"),
		"GET / HTTP/1.0\r\n\r\n", post("Content-Length: 5"), post("Transfer-Encoding: chunked", "Expect: 100-continue"), head("GET /a/../b%20c?x=1&y HTTP/1.1", "X: a", "x: b", "Connection: close, x")}
	for _, h := range heads {
		for _, before := range heads {
			if !checkReplay(t, h, before) {
				t.Errorf("%q cannot be recorded", h)
			}
		}
	}
	if checkReplay(t, post("Transfer-Encoding: chunked", "Trailer: X"), smallHead) {
		t.Error("a list of another kind was recorded")
	}
}

func FuzzReplay(f *testing.F) {
	f.Add([]byte(smallHead), []byte(browserHead))
	f.Add([]byte(browserHead), []byte(post("Content-Length: 5", "Trailer: a")))
	f.Add([]byte(head("GET http://u@a:80/b?c HTTP/1.1", "A:", "A: b")), []byte("GET / HTTP/1.0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in, before []byte) {
		if len(in) > 4096 || len(before) > 4096 {
			return
		}
		n, err := scanPieces(in)
		if n == 0 || err != nil {
			return
		}
		p := bytes.Clone(in[:n])
		info := guardHead(p)
		if info.refusal != nil {
			return
		}
		// What headMemo keeps is what the guard has left: it has to stand.
		again := bytes.Clone(p)
		if guardHead(again) != info || !bytes.Equal(again, p) {
			t.Fatalf("%q: guarded %q, and again %q", in[:n], p, again)
		}
		if m, err := scanPieces(p); m != n || err != nil {
			t.Fatalf("%q: guarded %q ends at %d (%v)", in[:n], p, m, err)
		}
		checkReplay(t, string(p), string(before))
	})
}

// Whatever handlers do to their requests, and in whatever order heads come, each
// request looks as it was sent.
func TestSameHeadsMakeFreshRequests(t *testing.T) {
	heads := []string{
		get("/a"),
		browserHead,
		head("GET http://other.example/abs?q=1 HTTP/1.2", "Cookie: a=b", "Accept: */*"),
		request("POST", "/body", "content"),
		chunked("/chunked", "X-T: v\r\n", "con", "tent"),
	}
	seen := func(req *fasthttp.Request) string {
		u := req.URI()
		return fmt.Sprintf("%q %q %q %q %q %q %q", req.Header.RawHeaders(), req.Header.String(), u.FullURI(), u.PathOriginal(), u.QueryString(), req.Body(), req.Header.ContentType())
	}
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			answer := seen(&ctx.Request)
			if v := ctx.UserValue("key"); v != nil {
				answer += " a user value"
			}
			spoil(&ctx.Request)
			ctx.SetBodyString(answer)
		}})
		first := make([]string, len(heads))
		for i, h := range heads { // of a connection and an exchange of its own, parsed
			c := ts.dial()
			c.send(h)
			first[i] = c.response("GET").body
			if !strings.Contains(first[i], "Host") || strings.Contains(first[i], "spoilt") {
				t.Fatalf("%q was seen as %s", h, first[i])
			}
		}
		for _, runs := range []int{1, 2, 5, 20} {
			c := ts.dial()
			var all strings.Builder
			for _, h := range heads {
				all.WriteString(strings.Repeat(h, runs))
			}
			c.send(all.String())
			for i := range heads {
				for n := range runs {
					if got := c.response("GET").body; got != first[i] {
						t.Fatalf("request %d of %q was seen as\n%s, at first as\n%s", n, heads[i], got, first[i])
					}
				}
			}
		}
	})
}
