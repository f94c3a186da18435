package httpcore

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// decodePieces feeds p to d cut at cuts, as octets arrive, and answers the
// data, what d did not consume, and the refusal.
func decodePieces(d *chunkedDecoder, p []byte, cuts ...int) (body, rest []byte, err error) {
	at := 0
	for _, c := range append(cuts, len(p)) {
		piece := p[at:c]
		for len(piece) > 0 && !d.done() {
			data, n, err := d.next(piece)
			if err != nil {
				return body, p[at+n:], err
			}
			body = append(body, data...)
			piece = piece[n:]
			at += n
		}
		if d.done() {
			break
		}
	}
	return body, p[at:], nil
}

func TestChunked(t *testing.T) {
	line := func(n int) string { return strings.Repeat("e", n) }
	for _, c := range []struct {
		name, in            string
		body, trailer, rest string
		err                 error
	}{
		{"empty", "0\r\n\r\n", "", "", "", nil},
		{"one", "5\r\nhello\r\n0\r\n\r\n", "hello", "", "", nil},
		{"leaves the next request", "1\r\nx\r\n0\r\n\r\nGET /", "x", "", "GET /", nil},
		{"hex in any case", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", "", "", nil},
		{"CRLF and chunks as data", "c\r\n0\r\n\r\n5\r\nxx\r\n\r\n0\r\n\r\n", "0\r\n\r\n5\r\nxx\r\n", "", "", nil},
		{"leading zeros", "0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "hello", "", "", nil},
		// RFC 9112 section 7.1: chunk-size = 1*HEXDIG; prevent overflow.
		{"17 digits", "00000000000000005\r\n", "", "", "5\r\n", errChunkSizeRange},
		{"2^63", "8000000000000000\r\n", "", "", "0\r\n", errChunkSizeRange},
		{"no hex", "g\r\n", "", "", "g\r\n", errChunkSize},
		{"no hex after a digit", "5g\r\n", "", "", "g\r\n", errChunkSize},
		{"0x", "0x5\r\n", "", "", "x5\r\n", errChunkSize},
		{"SP first", " 5\r\n", "", "", " 5\r\n", errChunkSize},
		{"CRLF first", "\r\n5\r\n", "", "", "\r\n5\r\n", errChunkSize},
		{"comma", "5,a\r\n", "", "", ",a\r\n", errChunkSize},
		{"LF", "5\nhello\r\n", "", "", "\nhello\r\n", errBareLF},
		{"CR", "5\rhello\r\n", "", "", "hello\r\n", errBareCR},
		{"data too long", "5\r\nhello!\r\n", "hello", "", "!\r\n", errChunkEnd},
		{"data without CR", "5\r\nhello\n0\r\n\r\n", "hello", "", "\n0\r\n\r\n", errChunkEnd},
		{"data without LF", "5\r\nhello\r0\r\n\r\n", "hello", "", "0\r\n\r\n", errChunkEnd},
		// Section 7.1.1: extensions are ignored, but must be extensions.
		{"extensions", "5;a\r\nhello\r\n0;a=b;c=\"d\"\r\n\r\n", "hello", "", "", nil},
		{"BWS", "5 \t; \ta \t= \tb \t; \tc = \"d\" ;e\r\nhello\r\n0\r\n\r\n", "hello", "", "", nil},
		{"quoted", "5;a=\" ;\t,=\\\"\\\\\\ \xff\"\r\nhello\r\n0\r\n\r\n", "hello", "", "", nil},
		{"empty quoted", "0;a=\"\"\r\n\r\n", "", "", "", nil},
		{"no name", "5;\r\n", "", "", "\r\n", errChunkExt},
		{"no name between", "5;;a\r\n", "", "", ";a\r\n", errChunkExt},
		{"name is no token", "5;@\r\n", "", "", "@\r\n", errChunkExt},
		{"no value", "5;a=\r\n", "", "", "\r\n", errChunkExt},
		{"two words", "5;a b\r\n", "", "", "b\r\n", errChunkExt},
		{"two values", "5;a=b c\r\n", "", "", "c\r\n", errChunkExt},
		{"octets after a quote", "5;a=\"b\"c\r\n", "", "", "c\r\n", errChunkExt},
		{"quote within a token", "5;a=b\"c\"\r\n", "", "", "\"c\"\r\n", errChunkExt},
		{"SP before CRLF", "5 \r\n", "", "", "\r\n", errChunkExt},
		{"SP before CRLF after a name", "5;a \r\n", "", "", "\r\n", errChunkExt},
		{"SP before CRLF after a value", "5;a=b \r\n", "", "", "\r\n", errChunkExt},
		{"control octet in quotes", "5;a=\"\x0b\"\r\n", "", "", "\x0b\"\r\n", errChunkExt},
		{"control octet in a quoted pair", "5;a=\"\\\x00\"\r\n", "", "", "\x00\"\r\n", errChunkExt},
		{"DEL in a quoted pair", "5;a=\"\\\x7f\"\r\n", "", "", "\x7f\"\r\n", errChunkExt},
		{"CRLF in quotes", "5;a=\"\r\n\"\r\n", "", "", "\r\n\"\r\n", errChunkExt},
		{"longest line", "1;" + line(maxChunkExtLine-1) + "\r\nx\r\n0\r\n\r\n", "x", "", "", nil},
		{"line too long", "1;" + line(maxChunkExtLine) + "\r\n", "", "", "e\r\n", errChunkExtTooLong},
		// Section 7.1.2: the trailer section.
		{"trailer", "0\r\nX-Sum: 1\r\n\r\n", "", "X-Sum: 1\r\n\r\n", "", nil},
		{"trailers", "1\r\nx\r\n0\r\nA:\r\nB:\tb \xff\r\n\r\nGET", "x", "A:\r\nB:\tb \xff\r\n\r\n", "GET", nil},
		{"longest trailer section", "0\r\nA:" + line(maxTrailerSection-6) + "\r\n\r\n", "", "A:" + line(maxTrailerSection-6) + "\r\n\r\n", "", nil},
		{"trailer section too long", "0\r\nA:" + line(maxTrailerSection-5) + "\r\n", "", "", "A:" + line(maxTrailerSection-5) + "\r\n", errTrailerTooLarge},
		{"trailer without colon", "0\r\nX\r\n\r\n", "", "", "X\r\n\r\n", errTrailerLine},
		{"trailer without name", "0\r\n: x\r\n\r\n", "", "", ": x\r\n\r\n", errTrailerLine},
		{"trailer with SP in the name", "0\r\nX : y\r\n\r\n", "", "", "X : y\r\n\r\n", errTrailerLine},
		{"trailer with NUL", "0\r\nX: \x00\r\n\r\n", "", "", "X: \x00\r\n\r\n", errTrailerLine},
		{"trailer with CR", "0\r\nX: a\rb\r\n\r\n", "", "", "X: a\rb\r\n\r\n", errTrailerLine},
		{"trailer section ends with CR", "0\r\n\rX", "", "", "X", errBareCR},
		{"forbidden trailer", "0\r\nhOsT: x\r\n\r\n", "", "", "hOsT: x\r\n\r\n", errTrailerName},
	} {
		t.Run(c.name, func(t *testing.T) {
			check := func(cuts ...int) {
				t.Helper()
				var d chunkedDecoder
				d.reset(0)
				body, rest, err := decodePieces(&d, []byte(c.in), cuts...)
				if err != c.err || string(body) != c.body || string(d.trailerSection()) != c.trailer && err == nil || d.done() != (err == nil) {
					t.Fatalf("cuts %v: %q, trailer %q, done %v, %v", cuts, body, d.trailerSection(), d.done(), err)
				}
				// A whole trailer line is judged at once, so a cut within it moves the rest.
				if len(cuts) == 0 && string(rest) != c.rest || err == nil && string(rest) != c.rest {
					t.Fatalf("cuts %v: rest %q, want %q", cuts, rest, c.rest)
				}
				if _, n, again := d.next([]byte("0")); n != 0 || again != err {
					t.Fatalf("after the end: %d, %v", n, again)
				}
			}
			check()
			for i := range c.in {
				check(i)
			}
			check(upTo(len(c.in))...)
		})
	}
}

// The data are sub-slices of the input: nothing is copied.
func TestChunkedAliases(t *testing.T) {
	p := []byte("5\r\nhello\r\n0\r\n\r\n")
	var d chunkedDecoder
	d.reset(0)
	data, n, err := d.next(p)
	if string(data) != "hello" || n != 8 || err != nil || &data[0] != &p[3] {
		t.Fatalf("%q, %d, %v", data, n, err)
	}
}

func TestChunkedBodyLimit(t *testing.T) {
	for _, c := range []struct {
		in   string
		max  int64
		body string
		err  error
	}{
		{"5\r\nhello\r\n0\r\n\r\n", 5, "hello", nil},
		{"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 5, "hello", nil},
		{"6\r\n", 5, "", errChunkedTooLarge}, // before its data
		{"3\r\nhel\r\n3\r\n", 5, "hel", errChunkedTooLarge},
		{"7fffffffffffffff\r\n", 5, "", errChunkedTooLarge},
		{"1\r\nx\r\n7fffffffffffffff\r\n", 5, "x", errChunkedTooLarge},
	} {
		var d chunkedDecoder
		d.reset(c.max)
		if body, _, err := decodePieces(&d, []byte(c.in)); err != c.err || string(body) != c.body {
			t.Errorf("%q: %q, %v; want %v", c.in, body, err, c.err)
		}
	}
}

// Chunks of one octet with long extensions end soon; honest extensions do not.
func TestChunkedExtensionBudget(t *testing.T) {
	chunk := func(size, ext int) []byte {
		return fmt.Appendf(nil, "%x;e=%s\r\n%s\r\n", size, strings.Repeat("e", ext-3), strings.Repeat("x", size))
	}
	var d chunkedDecoder
	d.reset(0)
	sent := 0
	for {
		p := chunk(1, 512)
		sent += len(p)
		if _, _, err := decodePieces(&d, p); err != nil {
			if err != errChunkExtTooLong {
				t.Fatal(err)
			}
			break
		}
		if sent > 20<<10 {
			t.Fatalf("%d octets for %d of data", sent, d.body)
		}
	}
	d.reset(0)
	for range 1000 { // a signature of 100 octets for each 64 KiB
		if _, _, err := decodePieces(&d, chunk(64<<10, 100)); err != nil {
			t.Fatal(err)
		}
	}
	d.reset(0)
	for range 100000 { // single octets without extensions are slow, not wrong
		if _, _, err := decodePieces(&d, []byte("1\r\nx\r\n")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestChunkedTrailerLimit(t *testing.T) {
	for _, endless := range []string{"A: b\r\n", "A: " + strings.Repeat("b", 100), "A"} {
		var d chunkedDecoder
		d.reset(0)
		if _, _, err := decodePieces(&d, []byte("0\r\n")); err != nil {
			t.Fatal(err)
		}
		sent := 0
		for {
			_, _, err := decodePieces(&d, []byte(endless))
			if err == errTrailerTooLarge {
				break
			}
			if sent += len(endless); err != nil || sent > maxTrailerSection {
				t.Fatalf("%q: %d octets, %v", endless, sent, err)
			}
		}
	}
}

// A reset decoder knows nothing of the body before.
func TestChunkedReset(t *testing.T) {
	var d chunkedDecoder
	for _, in := range []string{"0\r\nA: b\r\n\r\n", "5\r\nhello", "5;a=\"", "0\r\nA: ", "x", "0\r\n\r\n"} {
		d.reset(0)
		_, _, err := decodePieces(&d, []byte(in))
		if want := (in == "x"); (err != nil) != want {
			t.Fatalf("%q: %v", in, err)
		}
	}
	if !d.done() || d.trailerSection() != nil {
		t.Fatalf("done %v, trailer %q", d.done(), d.trailerSection())
	}
}

// Which fields a trailer section may hold: as fasthttp decides, in any case.
func TestForbiddenTrailer(t *testing.T) {
	names := []string{
		"Accept", "Age", "Authorization", "Cache-Control", "Connection", "Content-Encoding", "Content-Language", "Content-Length",
		"Content-Location", "Content-Md5", "Content-Range", "Content-Type", "Content-Types", "Cookie", "Date", "Digest", "ETag", "Expect", "Expires",
		"Host", "Hosts", "If-Match", "Keep-Alive", "Location", "Max-Forwards", "Pragma", "Proxy-Authenticate", "Proxy-Authorization",
		"Proxy-Connection", "Proxy-Status", "Range", "Ranges", "Server-Timing", "Set-Cookie", "Set-Cookie2", "TE", "T", "Trailer", "Trailers", "Transfer-Encoding",
		"Upgrade", "Vary", "WWW-Authenticate", "X", "X-Forwarded", "X-Forwarded-For", "X-Forwardedness", "X-Forward", "X-Real-IP", "X-Real-IP-2", "X-Real-I", "X-Sum",
		"X-A-Name-Of-More-Than-Thirty-Two-Octets-In-All",
	}
	forbidden := 0
	for _, name := range names {
		for _, n := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			var h fasthttp.RequestHeader
			err := h.ReadTrailer(bufio.NewReader(bytes.NewReader([]byte(n + ": v\r\n\r\n"))))
			if got := forbiddenTrailer([]byte(n)); got != (err != nil) {
				t.Errorf("%s: %v, fasthttp says %v", n, got, err)
			}
			if err != nil {
				forbidden++
			}
		}
	}
	if forbidden == 0 || forbidden == 3*len(names) {
		t.Errorf("%d names forbidden", forbidden)
	}
}
