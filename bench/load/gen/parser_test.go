package gen

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// outcome is what a parser makes of some octets.
type outcome struct {
	status   int
	length   int64
	last     bool
	done     bool
	consumed int
	err      error
	sum      string
}

// parse gives text to a parser in pieces, as conn does: what it does not
// consume comes again with more behind it.
func parse(p *parser, t *template, text string, cuts ...int) (o outcome) {
	cuts = append(cuts, len(text))
	for _, cut := range cuts {
		n, done, err := p.next([]byte(text[o.consumed:cut]), t)
		o.consumed += n
		if o.done, o.err = done, err; done || err != nil {
			break
		}
	}
	o.status, o.length, o.last = p.status, p.length, p.last
	if p.hash != nil {
		o.sum = fmt.Sprintf("%x", p.hash.Sum(nil))
	}
	return o
}

var parserCases = []struct {
	name, text string
	head       bool
	eof        bool // the body ends with the connection
	status     int
	body       string
	last       bool
	rest       int // octets behind the response
	err        error
}{
	{name: "length", text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", status: 200, body: "hello"},
	{name: "pipelined", text: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 2", status: 200, body: "a", rest: 10},
	{name: "no reason", text: "HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", status: 200},
	{name: "same length twice", text: "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nno", status: 404, body: "no"},
	{name: "204", text: "HTTP/1.1 204 No Content\r\n\r\nHTTP", status: 204, rest: 4},
	{name: "304 with length", text: "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", status: 304},
	{name: "HEAD", text: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nHTTP", head: true, status: 200, rest: 4},
	{name: "HEAD chunked", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", head: true, status: 200},
	{name: "interim", text: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", status: 200, body: "a"},
	{name: "close", text: "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 1\r\n\r\na", status: 200, body: "a", last: true},
	{name: "1.0", text: "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", status: 200, body: "a", last: true},
	{name: "1.0 kept", text: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na", status: 200, body: "a"},
	{name: "until close", text: "HTTP/1.1 200 OK\r\n\r\nall of it", eof: true, status: 200, body: "all of it", last: true},
	{name: "chunked", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00A;x=y\r\n 012345678\r\n0\r\nT: 1\r\n\r\nH", status: 200, body: "hello 012345678", rest: 1},
	{name: "chunked empty", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", status: 200},
	{name: "chunked and length", text: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", status: 200, body: "a", last: true},

	{name: "garbage", text: "SSH-2.0-x\r\n", err: errNotHTTP},
	{name: "early garbage", text: "X", err: errNotHTTP},
	{name: "HTTP/2", text: "HTTP/2.0 200 OK\r\n\r\n", err: errNotHTTP},
	{name: "version", text: "HTTP/1.2 200 OK\r\n\r\n", err: errNotHTTP},
	{name: "status of letters", text: "HTTP/1.1 2OO OK\r\n\r\n", err: errNotHTTP},
	{name: "status of four digits", text: "HTTP/1.1 2000 OK\r\n\r\n", err: errNotHTTP},
	{name: "status 099", text: "HTTP/1.1 099 OK\r\n\r\n", err: errNotHTTP},
	{name: "101", text: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", err: errUpgrade},
	{name: "bare LF in the status line", text: "HTTP/1.1 200 OK\nA: b\r\n\r\n", err: errNotHTTP},
	{name: "lengths differ", text: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", err: errLength},
	{name: "length list", text: "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", err: errLength},
	{name: "negative length", text: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", err: errLength},
	{name: "long length", text: "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n", err: errLength},
	{name: "gzip", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", err: errCoding},
	{name: "chunked 1.0", text: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", err: errCoding},
	{name: "folded", text: "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", err: errField},
	{name: "blank before colon", text: "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", err: errField},
	{name: "NUL", text: "HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n", err: errField},
	{name: "endless head", text: "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", maxHead), err: errHeadSize},
	{name: "chunk size", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", err: errChunk},
	{name: "chunk size signed", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\n", err: errChunk},
	{name: "chunk size overflow", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", err: errChunk},
	{name: "chunk bare LF", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n", err: errChunk},
	{name: "chunk too long", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", err: errChunk},
	{name: "endless chunk line", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("a", maxChunkLine), err: errChunk},
	{name: "endless trailers", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("A: b\r\n", maxHead/6+1), err: errHeadSize},
	{name: "endless trailer", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA:" + strings.Repeat("b", maxHead), err: errHeadSize},
}

// Each case comes in one piece, octet by octet, and cut in two at each place.
func TestParser(t *testing.T) {
	for _, c := range parserCases {
		t.Run(c.name, func(t *testing.T) {
			check := func(how string, cuts ...int) {
				t.Helper()
				p := &parser{noBody: c.head, hash: sha256.New()}
				o := parse(p, &template{}, c.text, cuts...)
				if c.err != nil {
					if !errors.Is(o.err, c.err) {
						t.Fatalf("%s: error %v, want %v", how, o.err, c.err)
					}
					return
				}
				if c.eof {
					if o.done || p.end() != nil {
						t.Fatalf("%s: complete before the end, or not with it", how)
					}
					o.done = true
				}
				want := outcome{status: c.status, length: int64(len(c.body)), last: c.last, done: true,
					consumed: len(c.text) - c.rest, sum: fmt.Sprintf("%x", sha256.Sum256([]byte(c.body)))}
				if o != want {
					t.Fatalf("%s:\n got %+v\nwant %+v", how, o, want)
				}
				if !p.idle() {
					t.Fatalf("%s: not idle behind the response", how)
				}
			}
			check("whole")
			each := make([]int, len(c.text))
			for i := range each {
				each[i] = i
			}
			check("octet by octet", each...)
			for i := 0; i < len(c.text); i += 1 + len(c.text)/200 {
				check(fmt.Sprintf("cut at %d", i), i)
			}
			if c.err == nil && !c.eof {
				for i := range len(c.text) - c.rest {
					p := &parser{noBody: c.head}
					if o := parse(p, &template{}, c.text[:i]); o.done || o.err != nil {
						t.Fatalf("the first %d octets: %+v", i, o)
					}
					if p.end() == nil {
						t.Fatalf("the end after %d octets is no error", i)
					}
				}
			}
		})
	}
}

// A head like the last one is recognised; whatever differs is parsed.
func TestTemplate(t *testing.T) {
	const first = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 3\r\n\r\nabc"
	tm := &template{}
	p := &parser{}
	if o := parse(p, tm, first); !o.done || string(tm.head) != first[:len(first)-3] || tm.status != 200 || tm.length != 3 {
		t.Fatalf("%+v left %+v", o, tm)
	}
	for _, c := range []struct {
		text   string
		status int
		length int64
	}{
		{first, 200, 3},
		{"HTTP/1.1 500 OK\r\nServer: x\r\nContent-Length: 3\r\n\r\nabc", 500, 3},
		{"HTTP/1.1 500 OK\r\nServer: x\r\nContent-Length: 2\r\n\r\nab", 500, 2},
		{first, 200, 3},
		{"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 4\r\n\r\nabcd", 200, 4},
	} {
		for cut := range c.text {
			if o := parse(p, tm, c.text, cut); !o.done || o.err != nil || o.status != c.status || o.length != c.length {
				t.Fatalf("%q cut at %d: %+v", c.text, cut, o)
			}
		}
	}
	// what does not say "the same again" leaves no template
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
	} {
		tm := &template{}
		if o := parse(&parser{}, tm, text); !o.done || tm.head != nil {
			t.Errorf("%q: %+v left %q", text, o, tm.head)
		}
	}
	p.noBody = true // the response to a HEAD looks the same and has no body
	if o := parse(p, tm, first[:len(first)-3]); !o.done || o.length != 0 {
		t.Errorf("HEAD: %+v", o)
	}
}

func TestParserAllocatesNothing(t *testing.T) {
	text := []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
	p, tm := &parser{}, &template{}
	if n := testing.AllocsPerRun(100, func() {
		for b := text; len(b) > 0; {
			n, done, err := p.next(b, tm)
			if !done || err != nil {
				t.Fatal(n, done, err)
			}
			b = b[n:]
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
