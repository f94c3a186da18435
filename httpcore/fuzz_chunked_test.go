package httpcore

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// The grammar of RFC 9112 section 7.1, written a second time. Regular
// expressions want UTF-8: lines are matched with one rune for each octet.
const reQuoted = `"(?:[\t !#-\[\]-~\x{80}-\x{ff}]|\\[\t -~\x{80}-\x{ff}])*"`

var (
	reChunkLine   = regexp.MustCompile(`^([0-9A-Fa-f]{1,16})(?:[ \t]*;[ \t]*` + reTchar + `+(?:[ \t]*=[ \t]*(?:` + reTchar + `+|` + reQuoted + `))?)*\r\n$`)
	reTrailerLine = regexp.MustCompile(`^(` + reTchar + `+):[\t -~\x{80}-\x{ff}]*\r\n$`)
)

// matchLine matches the first line of p, with its end, and answers what follows.
func matchLine(re *regexp.Regexp, p []byte) (first string, rest []byte, ok bool) {
	n := bytes.IndexByte(p, '\n') + 1
	var line strings.Builder
	for _, c := range p[:n] {
		line.WriteRune(rune(c))
	}
	m := re.FindStringSubmatch(line.String())
	if m == nil {
		return "", nil, false
	}
	return m[1], p[n:], true
}

// oracleChunked decodes a complete body; ok is false where it is refused or
// incomplete.
func oracleChunked(p []byte) (body, rest []byte, ok bool) {
	for rest = p; ; {
		var hex string
		if hex, rest, ok = matchLine(reChunkLine, rest); !ok {
			return nil, nil, false
		}
		size, err := strconv.ParseInt(hex, 16, 64)
		if err != nil {
			return nil, nil, false
		}
		if size == 0 {
			break
		}
		if size > int64(len(rest))-2 || string(rest[size:size+2]) != "\r\n" {
			return nil, nil, false
		}
		body = append(body, rest[:size]...)
		rest = rest[size+2:]
	}
	for !bytes.HasPrefix(rest, []byte("\r\n")) {
		var name string
		if name, rest, ok = matchLine(reTrailerLine, rest); !ok {
			return nil, nil, false
		}
		var h fasthttp.ResponseHeader
		if h.AddTrailer(name) != nil {
			return nil, nil, false
		}
	}
	return body, rest[2:], true
}

// othersRefuse is what the grammar allows and other decoders may not take: BWS
// before ";", and sizes of 16 digits.
var othersRefuse = regexp.MustCompile(`[ \t];|[0-9A-Fa-f]{16}`)

// FuzzChunked: the decoder accepts exactly what the grammar allows, however
// the octets are cut; what it accepts, fasthttp and net/http decode to the
// same body with the same end, and fasthttp takes the trailer section.
func FuzzChunked(f *testing.F) {
	for _, s := range []string{
		"0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\nGET /", "3;a=\"b;\\\"\"\r\nabc\r\nA;b=c;d\r\n0123456789\r\n0;e\r\nX: y\r\nZ:\r\n\r\n",
		"5 ; a = b\r\nhello\r\n0\r\n\r\n", "0000000000000001\r\nx\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n",
		"5;\r\nhello\r\n0\r\n\r\n", "7fffffffffffffff\r\n", "ffffffffffffffff\r\n", "0\r\nHost: a\r\n\r\n", "0\r\nX : a\r\n\r\n", "0\r\nX: a\r\n b\r\n\r\n",
		"1;a=\"\xff\x80\"\r\nx\r\n0\r\nX: \xff\r\n\r\n",
	} {
		f.Add([]byte(s), uint16(len(s)/2))
	}
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		var d chunkedDecoder
		d.reset(0)
		body, rest, err := decodePieces(&d, in)
		used, trailer := len(in)-len(rest), string(d.trailerSection())
		for _, cuts := range [][]int{{int(cut) % (len(in) + 1)}, upTo(len(in))} {
			var e chunkedDecoder
			e.reset(0)
			b, r, errCut := decodePieces(&e, in, cuts...)
			if !bytes.Equal(b, body) || errCut != err || e.done() != d.done() || d.done() && (len(r) != len(rest) || string(e.trailerSection()) != trailer) {
				t.Fatalf("cuts %v: %q, %v; in one piece: %q, %v", cuts, b, errCut, body, err)
			}
		}
		if len(in) < maxChunkExtLine { // within all limits
			want, wantRest, ok := oracleChunked(in)
			if ok != d.done() || ok && (!bytes.Equal(want, body) || len(wantRest) != len(rest)) {
				t.Fatalf("decoder: %q, rest %q, %v; grammar: %q, rest %q, %v", body, rest, err, want, wantRest, ok)
			}
		}
		if !d.done() {
			return
		}
		tolerated := othersRefuse.Match(in[:used])

		message := append([]byte(post("Transfer-Encoding: chunked")), in...)
		src := bytes.NewReader(message)
		br := bufio.NewReaderSize(src, len(message)+16)
		var req fasthttp.Request
		if err := req.ReadLimitBody(br, 0); err == nil {
			if left := src.Len() + br.Buffered(); !bytes.Equal(req.Body(), body) || left != len(rest) {
				t.Fatalf("fasthttp: %q, %d left; ours: %q, %d left", req.Body(), left, body, len(rest))
			}
		} else if !tolerated {
			t.Fatalf("fasthttp refuses: %v", err)
		}
		if trailer != "" {
			tr := bufio.NewReaderSize(strings.NewReader(trailer), len(trailer)+16)
			var h fasthttp.RequestHeader
			if err := h.ReadTrailer(tr); err != nil || tr.Buffered() != 0 {
				t.Fatalf("fasthttp refuses the trailer section %q: %v", trailer, err)
			}
			if err == nil && !tolerated && !bytes.Equal(h.TrailerHeader(), req.Header.TrailerHeader()) {
				t.Fatalf("trailers %q, fasthttp's own %q", h.TrailerHeader(), req.Header.TrailerHeader())
			}
		}

		src.Reset(message)
		br = bufio.NewReaderSize(src, len(message)+16)
		r, err := http.ReadRequest(br)
		if err != nil {
			t.Fatal(err)
		}
		std, err := io.ReadAll(r.Body)
		if err == nil {
			if left := src.Len() + br.Buffered(); !bytes.Equal(std, body) || left != len(rest) {
				t.Fatalf("net/http: %q, %d left; ours: %q, %d left", std, left, body, len(rest))
			}
		} else if !tolerated {
			t.Fatalf("net/http refuses: %v", err)
		}
	})
}
