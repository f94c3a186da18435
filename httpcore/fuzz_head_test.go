package httpcore

import (
	"bufio"
	"bytes"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// What the RFCs and our decisions make of a head, written a second time: with
// regular expressions, slowly, and not from the code under test.
const (
	reTchar   = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]"
	reRegName = `(?:[\-._~0-9A-Za-z!$&'()*+,;=]|%[0-9A-Fa-f]{2})*`
	reFuture  = `\[[vV][0-9A-Fa-f]+\.[\-._~0-9A-Za-z!$&'()*+,;=:]+\]`
	reHost    = `(\[[0-9A-Fa-f:.]+\]|` + reFuture + `|` + reRegName + `)`
)

var (
	reEmptyLines  = regexp.MustCompile(`^(?:\r\n){0,4}`)
	reClean       = regexp.MustCompile(`^(?s:[^\x00-\x08\x0a-\x1f\x7f]|\r\n)*$`)
	reTokenStart  = regexp.MustCompile("^" + reTchar)
	reRequestLine = regexp.MustCompile(`^(` + reTchar + `+) ([^ \t]+) HTTP/1\.([0-9])$`)
	reFieldLine   = regexp.MustCompile(`^(` + reTchar + `+):[ \t]*(.*?)[ \t]*$`)
	reAuthority   = regexp.MustCompile(`^` + reHost + `(?::([0-9]*))?$`)
	reOrigin      = regexp.MustCompile(`^/[^#]*$`)
	reAbsolute    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.\-]*://([^/?#]*)(?:[/?][^#]*)?$`)
	reLength      = regexp.MustCompile(`^0*([0-9]{1,19})$`)
	reTrailerList = regexp.MustCompile(`^[ \t]*(?:` + reTchar + `+[ \t]*)?(?:,[ \t]*(?:` + reTchar + `+[ \t]*)?)*$`)
)

// oracleScan says whether p begins with a head, and how long it is.
func oracleScan(p string) (n int, bad bool) {
	skip := len(reEmptyLines.FindString(p))
	rest := p[skip:]
	if strings.HasPrefix(rest, "\r\n") {
		return 0, true
	}
	if rest == "" || rest == "\r" {
		return 0, false
	}
	end := strings.Index(rest, "\r\n\r\n")
	seen := rest
	if end >= 0 {
		seen = rest[:end]
	}
	folded := strings.Contains(seen, "\r\n ") || strings.Contains(seen, "\r\n\t")
	if end < 0 {
		seen = strings.TrimSuffix(seen, "\r") // its LF may yet come
	}
	if !reClean.MatchString(seen) || folded || !reTokenStart.MatchString(rest) {
		return 0, true
	}
	if end < 0 {
		return 0, false
	}
	return skip + end + 4, false
}

func oracleAuthority(s string) (port string, ok bool) {
	m := reAuthority.FindStringSubmatch(s)
	if m == nil || m[1] == "" {
		return "", false
	}
	if h := m[1]; h[0] == '[' && h[1]|0x20 != 'v' {
		a, err := netip.ParseAddr(h[1 : len(h)-1])
		if err != nil || !a.Is6() {
			return "", false
		}
	}
	return m[2], true
}

type oracleHead struct {
	method, target, host string
	http11, close        bool
	length               int64
}

// oracleGuard reads a head that oracleScan has delimited; ok is false where it
// has to be refused.
func oracleGuard(head string) (o oracleHead, ok bool) {
	lines := strings.Split(strings.TrimSuffix(strings.TrimLeft(head, "\r\n"), "\r\n\r\n"), "\r\n")
	m := reRequestLine.FindStringSubmatch(lines[0])
	if m == nil {
		return o, false
	}
	o = oracleHead{method: m[1], target: m[2], http11: m[3] != "0", length: lengthNone}
	values := map[string][]string{}
	for _, l := range lines[1:] {
		f := reFieldLine.FindStringSubmatch(l)
		if f == nil {
			return o, false
		}
		name := strings.ToLower(f[1])
		values[name] = append(values[name], f[2])
	}
	switch abs := reAbsolute.FindStringSubmatch(o.target); {
	case o.method == "CONNECT":
		port, valid := oracleAuthority(o.target)
		if n, err := strconv.Atoi(port); !valid || err != nil || n < 1 || n > 65535 {
			return o, false
		}
	case reOrigin.MatchString(o.target), o.target == "*" && o.method == "OPTIONS":
	case abs != nil:
		if _, valid := oracleAuthority(abs[1]); !valid {
			return o, false
		}
	default:
		return o, false
	}
	switch host := values["host"]; {
	case len(host) > 1, len(host) == 0 && o.http11:
		return o, false
	case len(host) == 1:
		o.host = host[0]
		if _, valid := oracleAuthority(o.host); !valid && (o.http11 || o.host != "") {
			return o, false
		}
	}
	te, cl := values["transfer-encoding"], values["content-length"]
	switch {
	case len(te) == 0 && len(cl) == 0:
	case len(te)+len(cl) > 1:
		return o, false
	case len(te) == 1:
		if !strings.EqualFold(te[0], "chunked") || strings.ContainsRune(te[0], '\u212a') || !o.http11 {
			return o, false
		}
		o.length = lengthChunked
	default:
		d := reLength.FindStringSubmatch(cl[0])
		if d == nil {
			return o, false
		}
		n, err := strconv.Atoi(d[1])
		if err != nil {
			return o, false
		}
		o.length = int64(n)
	}
	if o.http11 {
		for _, e := range strings.Split(strings.Join(values["expect"], ","), ",") {
			if e = strings.Trim(e, " \t"); e != "" && strings.ToLower(e) != "100-continue" {
				return o, false
			}
		}
	}
	for _, v := range values["trailer"] {
		if !reTrailerList.MatchString(v) {
			return o, false
		}
		for _, name := range strings.Split(v, ",") {
			var h fasthttp.ResponseHeader
			if name = strings.Trim(name, " \t"); name != "" && h.AddTrailer(name) != nil {
				return o, false
			}
		}
	}
	options := strings.Split(strings.ToLower(strings.Join(values["connection"], ",")), ",")
	o.close = !o.http11
	for _, c := range options {
		if strings.Trim(c, " \t") == "keep-alive" {
			o.close = false
		}
	}
	for _, c := range options {
		if strings.Trim(c, " \t") == "close" {
			o.close = true
		}
	}
	return o, true
}

// FuzzHead: scanner and guard refuse what the oracle refuses and nothing else,
// wherever the head is cut; what they accept, fasthttp accepts with the same
// end and the same meaning, and net/http, if it accepts, with the same framing.
func FuzzHead(f *testing.F) {
	for _, s := range []string{
		smallHead, browserHead, "\r\n\r\n" + smallHead, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		post("Content-Length: 5") + "hello", post("Transfer-Encoding: chunked", "Trailer: , X,,Y ") + "0\r\n\r\n",
		post("Transfer-Encoding: gzip, chunked"), post("Content-Length: 5, 5"), post("Content-Length: 1", "Transfer-Encoding: chunked"),
		post("Expect: 100-continue", "Content-Length: 1"), post("Expect: ,x"), post("Connection: a, close", "Connection: keep-alive"),
		head("GET http://u@a:80/b?c HTTP/1.2"), head("GET https://[::1.2.3.4]:443/b?c HTTP/1.9"), head("CONNECT a:80 HTTP/1.1"), head("OPTIONS * HTTP/1.1"),
		head("GET //x?y=http://z HTTP/1.1"), head("PRI * HTTP/2.0"), "GET / HTTP/1.1\r\nHost: [v1.a]:80\r\n\r\n", "GET / HTTP/1.1\r\nHost: a%41\r\nX:\ty\xff\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "\x16\x03\x01",
	} {
		f.Add([]byte(s), uint16(len(s)/2))
	}
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		if len(in) > 4096 {
			return // octet by octet with an oracle, longer inputs teach nothing more
		}
		n, err := scanPieces(in)
		wantN, bad := oracleScan(string(in))
		if n != wantN || (err != nil) != bad {
			t.Fatalf("scan: %d, %v; oracle: %d, %v", n, err, wantN, bad)
		}
		for _, cuts := range [][]int{{int(cut) % (len(in) + 1)}, upTo(len(in))} {
			if m, e := scanPieces(in, cuts...); m != n || e != err {
				t.Fatalf("cuts %v: %d, %v; in one piece: %d, %v", cuts, m, e, n, err)
			}
		}
		_ = guardHead(bytes.Clone(in)) // must not panic on anything
		if n == 0 {
			return
		}
		p := bytes.Clone(in)
		info := guardHead(p[:n])
		o, ok := oracleGuard(string(in[:n]))
		if ok != (info.refusal == nil) {
			t.Fatalf("guard: %v; oracle accepts: %v", info.refusal, ok)
		}
		if !ok {
			return
		}
		if info.contentLength != o.length || info.http11 != o.http11 {
			t.Fatalf("guard: %+v; oracle: %+v", info, o)
		}

		src := bytes.NewReader(p)
		br := bufio.NewReaderSize(src, len(p)+16)
		var h fasthttp.RequestHeader
		if err := h.Read(br); err != nil {
			t.Fatalf("fasthttp refuses: %v", err)
		}
		if used := len(p) - src.Len() - br.Buffered(); used != n {
			t.Fatalf("fasthttp consumed %d, head is %d", used, n)
		}
		if string(h.Method()) != o.method || string(h.RequestURI()) != o.target || string(h.Host()) != o.host ||
			int64(h.ContentLength()) != o.length || h.IsHTTP11() != o.http11 {
			t.Fatalf("fasthttp: %q, length %d; oracle: %+v", h.String(), h.ContentLength(), o)
		}
		if close := h.ConnectionClose(); close != o.close && !(close && !o.http11) { // fasthttp looks for keep-alive in one Connection line only
			t.Fatalf("fasthttp: close %v; oracle: %v", close, o.close)
		}

		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimLeft(p[:n], "\r\n"))))
		if err != nil {
			return // stricter about paths than we are
		}
		length := int64(r.ContentLength)
		if o.length == lengthNone {
			length += lengthNone
		}
		if r.Method != o.method || r.RequestURI != o.target || length != o.length || (len(r.TransferEncoding) == 1) != (o.length == lengthChunked) {
			t.Fatalf("net/http: %+v; oracle: %+v", r, o)
		}
	})
}
