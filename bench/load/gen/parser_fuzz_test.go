package gen

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// FuzzParser: however the octets are cut the outcome is the same, a template
// of the same head changes nothing, and where net/http reads a response too,
// it reads the same one.
func FuzzParser(f *testing.F) {
	for i, c := range parserCases {
		if len(c.text) < 1000 {
			f.Add(c.text, c.head, uint16(i), uint16(3*i))
		}
	}
	f.Fuzz(func(t *testing.T, text string, head bool, a, b uint16) {
		newParser := func() *parser { return &parser{noBody: head, hash: sha256.New()} }
		tm := &template{}
		whole := newParser()
		want := parse(whole, tm, text)
		if want.consumed > len(text) || (want.err == nil && !want.done && whole.idle() && len(text)-want.consumed > maxHead) {
			t.Fatalf("%+v", want)
		}
		i, j := int(a)%(len(text)+1), int(b)%(len(text)+1)
		got := parse(newParser(), &template{}, text, min(i, j), max(i, j))
		if want.err != nil && got.err != nil {
			return // how far it came until then depends on the cuts
		}
		if got != want {
			t.Fatalf("cut at %d and %d: %+v, whole: %+v", i, j, got, want)
		}
		if got := parse(newParser(), tm, text, min(i, j), max(i, j)); got != want {
			t.Fatalf("with a template: %+v, without: %+v", got, want)
		}
		if want.err == nil {
			compareWithNet(t, text, head, whole, want)
		}
	})
}

// compareWithNet compares a response that is whole, or is so at the
// connection's end. net/http is more lenient: what it alone reads is no matter.
func compareWithNet(t *testing.T, text string, head bool, p *parser, o outcome) {
	if !o.done && p.end() != nil {
		return
	}
	request := &http.Request{Method: "GET"}
	if head {
		request.Method = "HEAD"
	}
	r := bufio.NewReader(strings.NewReader(text))
	for {
		response, err := http.ReadResponse(r, request)
		if err != nil {
			return
		}
		if response.StatusCode < 200 {
			continue
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return
		}
		if response.StatusCode != o.status || int64(len(body)) != o.length || fmt.Sprintf("%x", sha256.Sum256(body)) != o.sum {
			t.Fatalf("net/http: status %d, %d octets; here %+v", response.StatusCode, len(body), o)
		}
		return
	}
}

func BenchmarkParser(b *testing.B) {
	const field = "Server: ringcore\r\nDate: Thu, 26 Nov 2026 09:00:00 GMT\r\nContent-Type: text/plain\r\n"
	for _, c := range []struct {
		name, text string
		known      bool
	}{
		{"same", "HTTP/1.1 200 OK\r\n" + field + "Content-Length: 13\r\n\r\nHello, World!", true},
		{"new", "HTTP/1.1 200 OK\r\n" + field + "Content-Length: 13\r\n\r\nHello, World!", false},
		{"chunked", "HTTP/1.1 200 OK\r\n" + field + "Transfer-Encoding: chunked\r\n\r\nd\r\nHello, World!\r\n0\r\n\r\n", false},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, tm, text := &parser{}, &template{}, []byte(c.text)
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if !c.known {
					tm.head = tm.head[:0]
				}
				if _, done, err := p.next(text, tm); !done || err != nil {
					b.Fatal(done, err)
				}
			}
		})
	}
}
