//go:build linux

package httpcore

import (
	"bytes"
	"regexp"
	"testing"
	"unsafe"

	"github.com/valyala/fasthttp"
)

// A head that is made from the one before is, to the octet, the one that
// fasthttp makes, whatever a handler has set before and sets now.
func TestUsualHeadIsFasthttps(t *testing.T) {
	line := []byte("Server: some name\r\n")
	usual := map[string]func(*fasthttp.ResponseHeader){
		"nothing":           func(*fasthttp.ResponseHeader) {},
		"ok":                func(h *fasthttp.ResponseHeader) { h.SetStatusCode(200) },
		"not found":         func(h *fasthttp.ResponseHeader) { h.SetStatusCode(404) },
		"unknown status":    func(h *fasthttp.ResponseHeader) { h.SetStatusCode(799) },
		"content type":      func(h *fasthttp.ResponseHeader) { h.SetContentType("text/html") },
		"odd content type":  func(h *fasthttp.ResponseHeader) { h.SetContentType("a\r\nContent-Length: 9 ") },
		"no content type":   func(h *fasthttp.ResponseHeader) { h.SetNoDefaultContentType(true) },
		"another length":    func(h *fasthttp.ResponseHeader) { h.SetContentLength(7) },
		"date":              func(h *fasthttp.ResponseHeader) { h.Set("Date", "today") }, // fasthttp has its own
		"a header and none": func(h *fasthttp.ResponseHeader) { h.Set("X", "y"); h.Del("X") },
	}
	other := map[string]func(*fasthttp.ResponseHeader){
		"header":        func(h *fasthttp.ResponseHeader) { h.Set("X", "Content-Length: 8") },
		"cookie":        func(h *fasthttp.ResponseHeader) { var c fasthttp.Cookie; c.SetKey("a"); h.SetCookie(&c) },
		"trailer":       func(h *fasthttp.ResponseHeader) { _ = h.AddTrailer("X") },
		"encoding":      func(h *fasthttp.ResponseHeader) { h.SetContentEncoding("gzip") },
		"message":       func(h *fasthttp.ResponseHeader) { h.SetStatusMessage([]byte("fine")) },
		"protocol":      func(h *fasthttp.ResponseHeader) { h.SetProtocol([]byte("HTTP/1.0")) },
		"server":        func(h *fasthttp.ResponseHeader) { h.SetServer("mine") },
		"empty server":  func(h *fasthttp.ResponseHeader) { h.SetServer("") },
		"close":         func(h *fasthttp.ResponseHeader) { h.SetConnectionClose() },
		"keep-alive":    func(h *fasthttp.ResponseHeader) { h.Set("Connection", "keep-alive") },
		"chunked":       func(h *fasthttp.ResponseHeader) { h.SetContentLength(-1) },
		"identity":      func(h *fasthttp.ResponseHeader) { h.SetContentLength(-2) },
		"no date":       func(h *fasthttp.ResponseHeader) { *noDefaultDate(h) = true },
		"last modified": func(h *fasthttp.ResponseHeader) { h.Set("Last-Modified", "yesterday") },
	}
	all := map[string]func(*fasthttp.ResponseHeader){}
	for name, set := range usual {
		all[name] = set
	}
	for name, set := range other {
		all[name] = set
	}
	made := func(set func(*fasthttp.ResponseHeader), n int) (*fasthttp.Response, []byte) {
		resp := new(fasthttp.Response)
		set(&resp.Header)
		(&config{serverLine: line}).setServer(resp)
		var reference fasthttp.Response
		set(&reference.Header)
		(&config{serverLine: line}).setServer(&reference)
		reference.Header.SetContentLength(n)
		return resp, bytes.Clone(reference.Header.AppendBytes(nil))
	}
	space := make([]byte, headSpace)
	for before, setBefore := range all {
		for name, set := range all {
			var u usualHead
			resp, head := made(setBefore, 13)
			u.keep(head, &resp.Header, 13, 0)
			for _, n := range []int{13, 1, 13, 1234567} {
				resp, want := made(set, n)
				got := space[:u.append(space, &resp.Header, n, usualFor-1)]
				if len(got) > 0 && other[name] != nil {
					t.Errorf("%s after %s: made from what was remembered", name, before)
				}
				if len(got) == 0 && name == before && usual[name] != nil {
					t.Errorf("%s twice: not remembered", name)
				}
				if len(got) > 0 && undated(got) != undated(want) {
					t.Errorf("%s after %s:\n%s\nwant\n%s", name, before, got, want)
				}
				if u.append(space, &resp.Header, n, usualFor) > 0 || u.append(space[:len(want)-1], &resp.Header, n, 0) > 0 {
					t.Errorf("%s after %s: made too late, or without the room for it", name, before)
				}
			}
		}
	}
	if unusual == nil {
		t.Error("this release of fasthttp has new fields in a ResponseHeader: no head is usual")
	}
}

// undated takes the time out of a head: a second may have gone by.
func undated(head []byte) string { return dateValue.ReplaceAllString(string(head), "$1") }

var dateValue = regexp.MustCompile(`(\r\nDate: )\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT`)

func noDefaultDate(h *fasthttp.ResponseHeader) *bool {
	var ctx *fasthttp.RequestCtx
	at := inside.noDefaultDate.offset - unsafe.Offsetof(ctx.Response) - unsafe.Offsetof(ctx.Response.Header)
	return (*bool)(unsafe.Add(unsafe.Pointer(h), at))
}
