package httpcore

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

const smallHead = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

const browserHead = "GET /shop/items?page=2&sort=price HTTP/1.1\r\n" +
	"Host: www.example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Referer: https://www.example.com/shop\r\n" +
	"Connection: keep-alive\r\n" +
	"Cookie: session=9f86d081884c7d659a2feaa0c55ad015; theme=dark; consent=1\r\n" +
	"Upgrade-Insecure-Requests: 1\r\n" +
	"Sec-Fetch-Dest: document\r\n" +
	"Sec-Fetch-Mode: navigate\r\n" +
	"Sec-Fetch-Site: same-origin\r\n\r\n"

var benchHeads = []struct{ name, head string }{
	{"small", smallHead},
	{"browser", browserHead},
	{"cookie4k", strings.Replace(browserHead, "consent=1", strings.Repeat("c", 4096), 1)},
}

func BenchmarkScan(b *testing.B) {
	for _, bh := range benchHeads {
		p := []byte(bh.head)
		b.Run(fmt.Sprintf("%s-%d", bh.name, len(p)), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(p)))
			var s headScanner
			for b.Loop() {
				s.reset()
				if n, err := s.scan(p); n != len(p) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkScanDribble is a head that comes in octet by octet: it must not
// cost more per octet than a short one.
func BenchmarkScanDribble(b *testing.B) {
	p := []byte(benchHeads[2].head)
	b.ReportAllocs()
	b.SetBytes(int64(len(p)))
	var s headScanner
	for b.Loop() {
		s.reset()
		for i := range p {
			if n, err := s.scan(p[:i+1]); n != 0 && n != len(p) || err != nil {
				b.Fatal(n, err)
			}
		}
	}
}

func BenchmarkGuard(b *testing.B) {
	for _, bh := range benchHeads {
		p := []byte(bh.head)
		var g guard
		b.Run(fmt.Sprintf("%s-%d", bh.name, len(p)), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if info := g.check(p); info.refusal != nil {
					b.Fatal(info.refusal)
				}
			}
		})
	}
}

func BenchmarkChunked(b *testing.B) {
	for _, size := range []int{16, 1024, 16 << 10} {
		chunk := fmt.Sprintf("%x\r\n%s\r\n", size, bytes.Repeat([]byte{'x'}, size))
		p := []byte(strings.Repeat(chunk, 16) + "0\r\n\r\n")
		b.Run(fmt.Sprintf("16x%d", size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(16 * size))
			var d chunkedDecoder
			for b.Loop() {
				d.reset(0)
				total := 0
				for q := p; !d.done(); {
					data, n, err := d.next(q)
					if err != nil {
						b.Fatal(err)
					}
					total += len(data)
					q = q[n:]
				}
				if total != 16*size {
					b.Fatal(total)
				}
			}
		})
	}
}

func BenchmarkSanitize(b *testing.B) {
	var h fasthttp.ResponseHeader
	h.SetContentType("text/plain; charset=utf-8")
	h.SetContentLength(13)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Request-Id", "9f86d081884c7d65")
	p := bytes.Clone(h.Header())
	b.Run(fmt.Sprintf("head-%d", len(p)), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !sanitizeHead(p) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("names", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !namesEndNoLine(&h) {
				b.Fatal("refused")
			}
		}
	})
}
