package httpcore

import (
	"strings"
	"testing"
)

// guardString sends a head through scanner and guard, as a connection does.
// guardHead checks a head by a guard that remembers nothing.
func guardHead(p []byte) headInfo { return new(guard).check(p) }

func guardString(t *testing.T, head string) (headInfo, []byte) {
	t.Helper()
	p := []byte(head)
	n, err := scanPieces(p)
	if err != nil {
		return refused(err.(*refusal)), p
	}
	if n != len(p) {
		t.Fatalf("%q: head of %d octets, want %d", head, n, len(p))
	}
	return guardHead(p), p
}

type guardCase struct {
	name, head string
	want       *refusal
}

func runGuard(t *testing.T, cases []guardCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if info, _ := guardString(t, c.head); info.refusal != c.want {
				t.Errorf("%q: %v, want %v", c.head, info.refusal, c.want)
			}
		})
	}
}

// head is a request with this request line, a Host and more field lines.
func head(requestLine string, lines ...string) string {
	return requestLine + "\r\nHost: a\r\n" + fieldLines(lines...)
}

// post is a POST by HTTP/1.1 with a Host and more field lines.
func post(lines ...string) string { return head("POST / HTTP/1.1", lines...) }

func fieldLines(lines ...string) (s string) {
	for _, l := range lines {
		s += l + "\r\n"
	}
	return s + "\r\n"
}

// RFC 9112 section 3: the request line.
func TestGuardRequestLine(t *testing.T) {
	runGuard(t, []guardCase{
		{"GET", head("GET / HTTP/1.1"), nil},
		{"extension method", head("M-SEARCH!#$%&'*+.^_`|~09 / HTTP/1.1"), nil},
		{"lower-case method is a method", head("get / HTTP/1.1"), nil},
		{"method with a separator", head("GE(T / HTTP/1.1"), errMethod},
		{"method with obs-text", head("GE\xc3T / HTTP/1.1"), errMethod},
		{"method alone", head("GET"), errMethod},
		{"HTAB for SP", head("GET\t/ HTTP/1.1"), errMethod},
		{"two SP after the method", head("GET  / HTTP/1.1"), errRequestLine},
		{"two SP before the version", head("GET /  HTTP/1.1"), errRequestLine},
		{"HTAB in the target", head("GET /a\tb HTTP/1.1"), errRequestLine},
		{"SP in the target", head("GET /a b HTTP/1.1"), errRequestLine},
		{"SP after the version", head("GET / HTTP/1.1 "), errRequestLine},
		{"no version (HTTP/0.9)", head("GET /"), errRequestLine},
		{"no target", head("GET HTTP/1.1"), errRequestLine},
		{"empty target", head("GET  HTTP/1.1"), errRequestLine},
		// Section 2.3 and RFC 9110 section 15.6.6: the version.
		{"HTTP/1.0", head("GET / HTTP/1.0"), nil},
		{"HTTP/1.2", head("GET / HTTP/1.2"), nil},
		{"HTTP/1.9", head("GET / HTTP/1.9"), nil},
		{"HTTP/2.0", head("GET / HTTP/2.0"), errMajorVersion},
		{"HTTP/0.9", head("GET / HTTP/0.9"), errMajorVersion},
		{"HTTP/9.9", head("GET / HTTP/9.9"), errMajorVersion},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\n", errMajorVersion},
		{"lower case", head("GET / http/1.1"), errVersion},
		{"other protocol", head("GET / HTTQ/1.1"), errVersion},
		{"no minor", head("GET / HTTP/1"), errRequestLine},
		{"two digits minor", head("GET / HTTP/1.10"), errRequestLine},
		{"two digits major", head("GET / HTTP/11.1"), errRequestLine},
		{"comma", head("GET / HTTP/1,1"), errVersion},
		{"sign", head("GET / HTTP/+.1"), errVersion},
		{"letter", head("GET / HTTP/1.x"), errVersion},
	})
}

// RFC 9112 section 3.2: the forms of a request target.
func TestGuardTarget(t *testing.T) {
	runGuard(t, []guardCase{
		{"origin-form", head("GET /a/b?c=d&e=/?:@ HTTP/1.1"), nil},
		{"empty first segment", head("GET //a HTTP/1.1"), nil},
		{"long", head("GET /" + strings.Repeat("a", 8000) + " HTTP/1.1"), nil},
		{"what browsers send unescaped", head("GET /a?b={[|^`]} HTTP/1.1"), nil},
		{"raw UTF-8", head("GET /b\xc3\xbccher HTTP/1.1"), nil},
		{"fragment", head("GET /a#b HTTP/1.1"), errTarget},
		{"no slash", head("GET a HTTP/1.1"), errTarget},
		{"query alone", head("GET ?a HTTP/1.1"), errTarget},
		{"absolute-form", head("GET http://example.com/ HTTP/1.1"), nil},
		{"absolute-form, no path", head("GET http://example.com HTTP/1.1"), nil},
		{"absolute-form, query", head("GET http://example.com?a=/b@c HTTP/1.1"), nil},
		{"absolute-form, port", head("GET https://[::1]:443/ HTTP/1.1"), nil},
		{"absolute-form, HTTP/1.0 without Host", "GET http://a/ HTTP/1.0\r\n\r\n", nil},
		{"absolute-form, fragment", head("GET http://a/#b HTTP/1.1"), errTarget},
		{"absolute-form, fragment without path", head("GET http://a#b HTTP/1.1"), errTarget},
		{"absolute-form, no host", head("GET http:///a HTTP/1.1"), errTargetAuthority},
		{"absolute-form, only a port", head("GET http://:80/ HTTP/1.1"), errTargetAuthority},
		{"absolute-form, userinfo (RFC 9110 4.2.4)", head("GET http://u:p@a/ HTTP/1.1"), errTargetAuthority},
		{"absolute-form, bad host", head("GET http://a\"b/ HTTP/1.1"), errTargetAuthority},
		{"absolute-form, bad port", head("GET http://a:8x/ HTTP/1.1"), errTargetAuthority},
		{"absolute-form, bad scheme", head("GET 1http://a/ HTTP/1.1"), errTarget},
		{"absolute-form, one slash", head("GET http:/a HTTP/1.1"), errTarget},
		{"absolute-form, scheme alone", head("GET http: HTTP/1.1"), errTarget},
		{"no scheme", head("GET ://a/ HTTP/1.1"), errTarget},
		{"authority-form", head("CONNECT example.com:443 HTTP/1.1"), nil},
		{"authority-form, IPv6", head("CONNECT [::1]:443 HTTP/1.1"), nil},
		{"authority-form, GET", head("GET example.com:443 HTTP/1.1"), errTarget},
		{"CONNECT without port", head("CONNECT example.com HTTP/1.1"), errTargetAuthority},
		{"CONNECT with empty port (RFC 9110 9.3.6)", head("CONNECT example.com: HTTP/1.1"), errTargetAuthority},
		{"CONNECT with port 0", head("CONNECT example.com:0 HTTP/1.1"), errTargetAuthority},
		{"CONNECT with port 65536", head("CONNECT example.com:65536 HTTP/1.1"), errTargetAuthority},
		{"CONNECT with origin-form", head("CONNECT / HTTP/1.1"), errTargetAuthority},
		{"CONNECT with absolute-form", head("CONNECT http://a:80/ HTTP/1.1"), errTargetAuthority},
		{"CONNECT with userinfo", head("CONNECT u@a:80 HTTP/1.1"), errTargetAuthority},
		{"asterisk-form", head("OPTIONS * HTTP/1.1"), nil},
		{"asterisk-form, GET", head("GET * HTTP/1.1"), errTarget},
		{"asterisk and more", head("OPTIONS *a HTTP/1.1"), errTarget},
	})
}

// RFC 9112 section 5.1 and RFC 9110 section 5.1: field names.
func TestGuardFieldNames(t *testing.T) {
	runGuard(t, []guardCase{
		{"all of tchar", post("!#$%&'*+-.^_`|~09AZaz: v"), nil},
		{"empty value", post("X:"), nil},
		{"colons in the value", post("X::a:b"), nil},
		{"SP before the colon", post("X : v"), errFieldLine},
		{"HTAB before the colon", post("X\t: v"), errFieldLine},
		{"SP within", post("X Y: v"), errFieldLine},
		{"empty name", post(": v"), errFieldLine},
		{"no colon", post("X"), errFieldLine},
		{"no colon in the last line", "GET / HTTP/1.0\r\nX\r\n\r\n", errFieldLine},
		{"obs-text", post("X\xff: v"), errFieldLine},
		{"separator", post("X(: v"), errFieldLine},
		{"quote", post("\"X\": v"), errFieldLine},
	})
	for c := range 256 {
		if c == '\r' || c == '\n' || c == ':' {
			continue
		}
		info := guardHead([]byte(post("X" + string([]byte{byte(c)}) + "Y: v")))
		if token := strings.IndexByte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", byte(c)) >= 0; token != (info.refusal == nil) {
			t.Errorf("octet %#x in a name: %v", c, info.refusal)
		}
	}
}

// RFC 9112 section 3.2: Host. The values are in TestValidHost.
func TestGuardHost(t *testing.T) {
	const line = "GET / HTTP/1.1\r\n"
	const line10 = "GET / HTTP/1.0\r\n"
	runGuard(t, []guardCase{
		{"one", line + fieldLines("Host: a"), nil},
		{"any case", line + fieldLines("hOsT:a"), nil},
		{"white space around", line + fieldLines("Host: \t a:80 \t "), nil},
		{"after other fields", line + fieldLines("From: x", "Date: y", "Host: a"), nil},
		{"missing", line + fieldLines(), errHostMissing},
		{"missing, other fields", line + fieldLines("Hosts: a", "Hos: a", "Hosy: a"), errHostMissing},
		{"missing, absolute-form", "GET http://a/ HTTP/1.1\r\n\r\n", errHostMissing},
		{"missing, HTTP/1.2", "GET / HTTP/1.2\r\n\r\n", errHostMissing},
		{"missing, HTTP/1.0", line10 + fieldLines(), nil},
		{"two", line + fieldLines("Host: a", "Host: b"), errHostTwice},
		{"two alike", line + fieldLines("Host: a", "X: y", "host: a"), errHostTwice},
		{"two, HTTP/1.0", line10 + fieldLines("Host: a", "Host: a"), errHostTwice},
		{"two, the first empty", line + fieldLines("Host:", "Host: a"), errHostTwice},
		{"empty", line + fieldLines("Host:"), errHost},
		{"blank", line + fieldLines("Host: \t"), errHost},
		{"empty, HTTP/1.0", line10 + fieldLines("Host:"), nil},
		{"only a port", line + fieldLines("Host: :80"), errHost},
		{"userinfo", line + fieldLines("Host: u@a"), errHost},
		{"userinfo, HTTP/1.0", line10 + fieldLines("Host: u@a"), errHost},
		{"SP within", line + fieldLines("Host: a b"), errHost},
		{"path", line + fieldLines("Host: a/b"), errHost},
		{"differs from the target (section 3.2.2)", head("GET http://b/ HTTP/1.1"), nil},
	})
}

// RFC 9112 sections 6.1 to 6.3 and RFC 9110 section 8.6: framing.
func TestGuardFraming(t *testing.T) {
	runGuard(t, []guardCase{
		{"two Content-Length", post("Content-Length: 5", "Content-Length: 6"), errLengthTwice},
		{"two alike", post("Content-Length: 5", "content-length: 5"), errLengthTwice},
		{"list", post("Content-Length: 5, 5"), errContentLength},
		{"empty", post("Content-Length:"), errContentLength},
		{"plus", post("Content-Length: +5"), errContentLength},
		{"minus", post("Content-Length: -5"), errContentLength},
		{"hex", post("Content-Length: 0x5"), errContentLength},
		{"underscore", post("Content-Length: 1_0"), errContentLength},
		{"SP within", post("Content-Length: 1 0"), errContentLength},
		{"fraction", post("Content-Length: 5.0"), errContentLength},
		{"over int64", post("Content-Length: 9223372036854775808"), errContentLength},
		{"over uint64, wraps to 5", post("Content-Length: 18446744073709551621"), errContentLength},
		{"both", post("Content-Length: 5", "Transfer-Encoding: chunked"), errLengthAndCoding},
		{"both, other order", post("Transfer-Encoding: chunked", "Content-Length: 5"), errLengthAndCoding},
		{"both, unknown coding", post("Content-Length: 5", "Transfer-Encoding: xchunked"), errLengthAndCoding},
		{"HTTP/1.0", head("POST / HTTP/1.0", "Transfer-Encoding: chunked"), errCodingInHTTP10},
		{"HTTP/1.0 with Content-Length", head("POST / HTTP/1.0", "Transfer-Encoding: chunked", "Content-Length: 5"), errCodingInHTTP10},
		// Section 6.3 item 4: 400 where chunked is not the final coding.
		{"identity", post("Transfer-Encoding: identity"), errTransferEncoding},
		{"gzip", post("Transfer-Encoding: gzip"), errTransferEncoding},
		{"chunked, gzip", post("Transfer-Encoding: chunked, gzip"), errTransferEncoding},
		{"chunked, identity", post("Transfer-Encoding: chunked, identity"), errTransferEncoding},
		{"xchunked", post("Transfer-Encoding: xchunked"), errTransferEncoding},
		{"chunkedx", post("Transfer-Encoding: chunkedx"), errTransferEncoding},
		{"two lines, identity last", post("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), errTransferEncoding},
		// Section 6.1: SHOULD answer 501 to a coding it does not understand.
		{"gzip, chunked", post("Transfer-Encoding: gzip, chunked"), errUnknownCoding},
		{"gzip;q=1, chunked", post("Transfer-Encoding: gzip ;q=1, chunked"), errUnknownCoding},
		{"two lines, chunked last", post("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"), errUnknownCoding},
		// Section 7.1: no parameters; section 6.1: chunked not more than once.
		{"chunked;x=1", post("Transfer-Encoding: chunked;x=1"), errTransferEncoding},
		{"chunked, chunked", post("Transfer-Encoding: chunked, chunked"), errTransferEncoding},
		{"two lines", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), errTransferEncoding},
		{"empty TE", post("Transfer-Encoding:"), errTransferEncoding},
		{"empty line and chunked", post("Transfer-Encoding:", "Transfer-Encoding: chunked"), errTransferEncoding},
		{"empty element", post("Transfer-Encoding: , chunked"), errTransferEncoding},
		{"trailing comma", post("Transfer-Encoding: chunked,"), errTransferEncoding},
		{"quoted", post("Transfer-Encoding: \"chunked\""), errTransferEncoding},
		{"two words", post("Transfer-Encoding: chunked chunked"), errTransferEncoding},
		{"two words, then chunked", post("Transfer-Encoding: gzip x, chunked"), errTransferEncoding},
		{"obs-text", post("Transfer-Encoding: \xffchunked"), errTransferEncoding},
	})
	for _, c := range []struct {
		head string
		want int64
	}{
		{post(), lengthNone},
		{post("Content-Length: 0"), 0},
		{post("Content-Length:\t5 \t"), 5},
		{post("Content-Length: 0000000000000000000000000000042"), 42},
		{post("CONTENT-LENGTH: 1234567890"), 1234567890},
		{head("POST / HTTP/1.0", "Content-Length: 7"), 7},
		{head("POST / HTTP/1.0"), lengthNone},
		{post("Transfer-Encoding: chunked"), lengthChunked},
		{post("tRANSFER-eNCODING:\t CHUNKED \t"), lengthChunked},
		{head("POST / HTTP/1.3", "Transfer-Encoding: chunked"), lengthChunked},
		{post("Content-Lengt: 5", "Content-Length_: 5", "Content_Length: 5", "Transfer_Encoding: chunked"), lengthNone},
	} {
		if info, _ := guardString(t, c.head); info.refusal != nil || info.contentLength != c.want {
			t.Errorf("%q: %d, %v; want %d", c.head, info.contentLength, info.refusal, c.want)
		}
	}
}

// RFC 9110 section 2.5: a later minor version is served as 1.1, and fasthttp
// reads it so.
func TestGuardVersion(t *testing.T) {
	for version, want := range map[string]string{"1.0": "1.0", "1.1": "1.1", "1.2": "1.1", "1.9": "1.1"} {
		info, p := guardString(t, head("GET /1.2 HTTP/"+version))
		if info.refusal != nil || info.http11 != (want == "1.1") {
			t.Errorf("%s: %+v", version, info)
		}
		if want := head("GET /1.2 HTTP/" + want); string(p) != want {
			t.Errorf("%s: became %q, want %q", version, p, want)
		}
	}
}

// RFC 9110 section 10.1.1: Expect.
func TestGuardExpect(t *testing.T) {
	const body, none = "Content-Length: 1", "Content-Length: 0"
	for _, c := range []struct {
		head    string
		waiting bool
		want    *refusal
	}{
		{post(body), false, nil},
		{post("Expect: 100-continue", body), true, nil},
		{post("eXPECT: 100-Continue", "Transfer-Encoding: chunked"), true, nil},
		{post("Expect: 100-continue", none), false, nil}, // nothing to wait for
		{post("Expect: 100-continue"), false, nil},
		{post("Expect:", body), false, nil},
		{post("Expect: , 100-continue,", body), true, nil},
		{post("Expect: 100-continue", "Expect: 100-continue", body), true, nil},
		{post("Expect: 200-ok", body), false, errExpectation},
		{post("Expect: 100-continue, x", body), false, errExpectation},
		{post("Expect: 100-continue;q=1", body), false, errExpectation},
		{post("Expect: 100-continue", "Expect: x", body), false, errExpectation},
		{post("Expect: x", "Content-Length: y"), false, errContentLength}, // 400 before 417
		{head("POST / HTTP/1.0", "Expect: 100-continue", body), false, nil},
		{head("POST / HTTP/1.0", "Expect: x", body), false, nil},
	} {
		info, _ := guardString(t, c.head)
		if info.refusal != c.want || info.expectContinue != c.waiting {
			t.Errorf("%q: %v, %v; want %v, %v", c.head, info.expectContinue, info.refusal, c.waiting, c.want)
		}
	}
}

// RFC 9110 sections 6.6.2, 6.5.1 and 5.6.1.2: Trailer.
func TestGuardTrailerField(t *testing.T) {
	for _, c := range []struct {
		value, becomes string
		want           *refusal
	}{
		{" X-Sum", " X-Sum", nil},
		{"", "", nil},
		{" X-Sum, X-Two", "X-Sum,X-Two  ", nil},
		{" ,, X-Sum ,\t, X-Two,", "X-Sum,X-Two           ", nil},
		{" Content-Length", "", errTrailerField},
		{" X, Host", "", errTrailerField},
		{" X Y", "", errTrailerField},
		{" \"X\"", "", errTrailerField},
	} {
		info, p := guardString(t, post("Trailer:"+c.value))
		if info.refusal != c.want {
			t.Errorf("%q: %v, want %v", c.value, info.refusal, c.want)
		}
		_, got, _ := strings.Cut(string(p), "Trailer:")
		if got := strings.TrimSuffix(got, "\r\n\r\n"); c.want == nil && strings.TrimSpace(got) != strings.TrimSpace(c.becomes) {
			t.Errorf("%q: became %q, want %q", c.value, got, c.becomes)
		}
	}
}

// guardHead on a head cut short, or on octets that no scanner has seen.
func TestGuardIncomplete(t *testing.T) {
	for _, whole := range []string{smallHead, browserHead, "\r\n\r\n" + smallHead} {
		for i := range len(whole) - 1 { // the last LF is the scanner's to see
			if info := guardHead([]byte(whole[:i])); info.refusal == nil {
				t.Errorf("%q accepted", whole[:i])
			}
		}
	}
}

func TestRefusalStatus(t *testing.T) {
	for err, want := range map[error]int{errBareLF: 400, errMajorVersion: 505, errUnknownCoding: 501, errExpectation: 417, errTrailerTooLarge: 431, errChunkedTooLarge: 413} {
		if got := refusalStatus(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}

func TestWireAllocations(t *testing.T) {
	heads := [][]byte{[]byte(browserHead), []byte(post("Expect: 100-continue", "Transfer-Encoding: chunked", "Trailer: X, Y")), []byte(post("Transfer-Encoding: x"))}
	body := []byte("5;a=\"b\"\r\nhello\r\n0\r\n\r\n")
	var s headScanner
	var g guard
	var d chunkedDecoder
	if n := testing.AllocsPerRun(100, func() {
		for _, p := range heads {
			s.reset()
			if n, err := s.scan(p); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
			g.check(p)
		}
		d.reset(0)
		for p := body; !d.done(); {
			_, n, err := d.next(p)
			if err != nil {
				t.Fatal(err)
			}
			p = p[n:]
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
