package httpcore

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
)

// scanPieces feeds p to a scanner in growing prefixes that end at cuts, then
// whole, and answers the first verdict.
func scanPieces(p []byte, cuts ...int) (int, error) {
	var s headScanner
	for _, c := range append(cuts, len(p)) {
		if n, err := s.scan(p[:c]); n != 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}

func TestScan(t *testing.T) {
	crlfs := func(n int) string { return strings.Repeat("\r\n", n) }
	cases := []struct {
		name, in string
		n        int // -1: all of in
		err      error
	}{
		{"smallest", "GET / HTTP/1.0\r\n\r\n", -1, nil},
		{"one field", smallHead, -1, nil},
		{"browser", browserHead, -1, nil},
		{"stops at the end", smallHead + "GET /next HTTP/1.1\r\n", len(smallHead), nil},
		{"stops before a body of anything", smallHead + "\x00\n\r\x16", len(smallHead), nil},
		{"unfinished", smallHead[:len(smallHead)-1], 0, nil},
		{"nothing", "", 0, nil},
		// RFC 9112 section 2.2: SHOULD ignore at least one empty line.
		{"one empty line", crlfs(1) + smallHead, -1, nil},
		{"most empty lines", crlfs(maxEmptyLines) + smallHead, -1, nil},
		{"too many empty lines", crlfs(maxEmptyLines + 1), 0, errEmptyLines},
		{"bare LF as empty line", "\n" + smallHead, 0, errNotARequest},
		{"bare CR as empty line", "\r" + smallHead, 0, errBareCR},
		// RFC 9112 section 2.2: bare LF need not be accepted; bare CR is invalid.
		{"bare LF after request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 0, errBareLF},
		{"bare LF after field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 0, errBareLF},
		{"bare LF as last line", "GET / HTTP/1.1\r\nHost: a\r\n\n", 0, errBareLF},
		{"bare LFs", "GET / HTTP/1.1\nHost: a\n\n", 0, errBareLF},
		{"bare CR in a value", "GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", 0, errBareCR},
		{"CR CR LF", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 0, errBareCR},
		{"bare CRs", "GET / HTTP/1.1\rHost: a\r\r", 0, errBareCR},
		{"CR at the end of the head", "GET / HTTP/1.1\r\nHost: a\r\n\rX", 0, errBareCR},
		// RFC 9112 section 5.2: obs-fold.
		{"obs-fold with SP", "GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", 0, errObsFold},
		{"obs-fold with HTAB", "GET / HTTP/1.1\r\nX: a\r\n\tb\r\n\r\n", 0, errObsFold},
		{"white space before the first field", "GET / HTTP/1.1\r\n X: a\r\n\r\n", 0, errObsFold},
		// RFC 9110 section 5.5: CR, LF and NUL are dangerous, other CTLs invalid.
		{"NUL in a value", "GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n", 0, errControlOctet},
		{"NUL in a name", "GET / HTTP/1.1\r\nX\x00: a\r\n\r\n", 0, errControlOctet},
		{"VT before chunked", "POST / HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", 0, errControlOctet},
		{"DEL in a value", "GET / HTTP/1.1\r\nX: a\x7f\r\n\r\n", 0, errControlOctet},
		{"HTAB in a value", "GET / HTTP/1.1\r\nX:\ta\tb\t\r\n\r\n", -1, nil},
		{"obs-text in a value", "GET / HTTP/1.1\r\nX: \xff~\xff~\x80\xfe\r\n\r\n", -1, nil},
		// What begins no request is refused with its first octet.
		{"TLS record", "\x16", 0, errNotARequest},
		{"SSLv2 hello", "\x80", 0, errNotARequest},
		{"SP first", " GET", 0, errNotARequest},
		{"markup", "<", 0, errNotARequest},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := []byte(c.in)
			want := c.n
			if want < 0 {
				want = len(p)
			}
			if n, err := scanPieces(p); n != want || err != c.err {
				t.Errorf("whole: got %d, %v; want %d, %v", n, err, want, c.err)
			}
			for i := range p {
				if n, err := scanPieces(p, i); n != want || err != c.err {
					t.Errorf("cut at %d: got %d, %v; want %d, %v", i, n, err, want, c.err)
				}
			}
			if n, err := scanPieces(p, upTo(len(p))...); n != want || err != c.err {
				t.Errorf("octet by octet: got %d, %v; want %d, %v", n, err, want, c.err)
			}
		})
	}
}

func upTo(n int) (cuts []int) {
	for i := range n {
		cuts = append(cuts, i)
	}
	return cuts
}

// Every octet at every place of a word: exactly the control octets are refused.
func TestScanOctets(t *testing.T) {
	for at := range 40 {
		for c := range 256 {
			p := []byte("GET / HTTP/1.1\r\nX: " + strings.Repeat("v", 40) + "\r\n\r\n")
			p[19+at] = byte(c)
			n, err := scanPieces(p)
			ok := c == '\t' || c >= ' ' && c != 0x7f
			if ok && (n != len(p) || err != nil) || !ok && err == nil {
				t.Fatalf("octet %#x at %d: got %d, %v", c, at, n, err)
			}
		}
	}
}

// Refusals do not wait for the rest of the head.
func TestScanRefusesAtOnce(t *testing.T) {
	for in, want := range map[string]error{
		"GET / HTTP/1.1\n":        errBareLF,
		"GET / HTTP/1.1\rH":       errBareCR,
		"GET / HTTP/1.1\r\n ":     errObsFold,
		"GET /\x00":               errControlOctet,
		strings.Repeat("\r\n", 5): errEmptyLines,
	} {
		if n, err := scanPieces([]byte(in)); n != 0 || err != want {
			t.Errorf("%q: got %d, %v; want %v", in, n, err, want)
		}
	}
}

// A real TLS client is refused before its ClientHello is complete.
func TestScanTLSClientHello(t *testing.T) {
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		_ = tls.Client(client, &tls.Config{ServerName: "localhost"}).Handshake()
		client.Close()
	}()
	first := make([]byte, 1)
	if _, err := io.ReadFull(server, first); err != nil {
		t.Fatal(err)
	}
	if n, err := scanPieces(first); n != 0 || err != errNotARequest {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestScanStarted(t *testing.T) {
	var s headScanner
	for _, c := range []struct {
		in   string
		want bool
	}{{"", false}, {"\r", false}, {"\r\n", false}, {"\r\n\r\n", false}, {"\r\n\r\nG", true}, {"\r\n\r\nGET /", true}} {
		if n, err := s.scan([]byte(c.in)); n != 0 || err != nil {
			t.Fatalf("%q: %d, %v", c.in, n, err)
		}
		if s.started() != c.want {
			t.Errorf("%q: started %v, want %v", c.in, s.started(), c.want)
		}
	}
	s.reset()
	if s.started() {
		t.Error("started after reset")
	}
}
