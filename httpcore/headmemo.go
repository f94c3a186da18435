//go:build linux

package httpcore

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// A headMemo remembers a head that was accepted. A client that keeps its
// connection sends the same head again and again, and many clients send the same
// one: the same octets have the same end, get the same verdict from the guard,
// and mean the same. It belongs to the loop's goroutine; the zero value is ready
// for use.
type headMemo struct {
	head   []byte // as the guard has left it; empty: none
	info   headInfo
	made   recording // what parsing makes of head
	state  memoState
	misses uint8 // heads that were another since the last that was this one
	req    fasthttp.Request

	meaning headMeaning // of head, once it is ready
}

// headMeaning is what is asked about every request. Its zero value says nothing.
type headMeaning struct {
	route     uint32 // routeHash
	staysHTTP bool   // what follows the request is HTTP
	plain     bool   // … and it is a GET by HTTP/1.1 without a body, and keeps the connection
}

func (i *headInfo) meaning(h *fasthttp.RequestHeader, path []byte) headMeaning {
	stays := !maySwitch(h)
	return headMeaning{routeHash(h.Method(), path), stays,
		stays && i.http11 && i.contentLength == lengthNone && int64(h.ContentLength()) == lengthNone &&
			h.IsGet() && !h.ConnectionClose()}
}

const (
	maxMemoHead   = 4 << 10 // octets; a longer head is not remembered
	maxMemoMisses = 8       // before another head takes its place
)

// memoState is what is known of headMemo.made.
type memoState uint8

const (
	memoUnparsed   memoState = iota // the head has not come again yet
	memoReady                       // made can be replayed
	memoUnrecorded                  // the head means something that cannot be recorded
)

// begins reports whether b begins with the head that is remembered.
func (m *headMemo) begins(b []byte) bool {
	n := len(m.head)
	return n > 0 && len(b) >= n && bytes.Equal(b[:n], m.head)
}

// missed takes note of a head that is another one, and was accepted. It is kept
// if the one that is remembered has not come for a while. The guard may have
// written into the head: what it leaves it would not change again.
func (m *headMemo) missed(head []byte, info headInfo) {
	if m.misses++; len(head) > maxMemoHead || len(m.head) > 0 && m.misses < maxMemoMisses {
		return
	}
	m.misses = 0
	m.head, m.info, m.state = append(m.head[:0], head...), info, memoUnparsed
}

// restore makes x's request what parsing the head makes of it. It is false
// where that cannot be had: x is to be parsed then.
func (m *headMemo) restore(x *exchange) bool {
	m.misses = 0
	if m.state == memoUnparsed {
		m.state = memoUnrecorded
		m.req.Reset()
		if x.p.cfg.fs.DisableHeaderNamesNormalizing {
			m.req.Header.DisableNormalizing()
		}
		if x.p.parseHead(&m.req.Header, m.head) == nil {
			m.req.URI()
			if m.made.record(&m.req) {
				m.state = memoReady
				m.meaning = m.info.meaning(&m.req.Header, m.req.URI().Path())
			}
		}
	}
	if m.state != memoReady || !m.made.replay(&x.ctx.Request) {
		return false
	}
	x.meaning = m.meaning
	return true
}
