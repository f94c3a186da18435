package httpcore

import (
	"bytes"
	"slices"
	"testing"
)

type streamMessage struct{ head, body, trailer string }

// readStream reads a stream as a connection would: octets arrive up to each
// cut, are taken as far as they go, and what is left stays for the next time.
// It answers the complete messages, the refusal that ended the stream, and
// whether the stream ended within a message.
func readStream(stream []byte, cuts ...int) (got []streamMessage, refused error, partial bool) {
	var s headScanner
	var d chunkedDecoder
	var unread []byte
	var m streamMessage
	length := int64(lengthNone) // of the body to come; lengthNone: a head comes
	at := 0
	for _, c := range append(cuts, len(stream)) {
		unread = append(unread, stream[at:c]...)
		at = c
		for more := false; !more; {
			switch length {
			case lengthNone:
				n, err := s.scan(unread)
				if err != nil {
					return got, err, false
				}
				if n == 0 {
					more = true
					continue
				}
				info := guardHead(unread[:n])
				if info.refusal != nil {
					return got, info.refusal, false
				}
				m = streamMessage{head: string(bytes.TrimLeft(unread[:n], "\r\n"))}
				unread = unread[n:]
				s.reset()
				d.reset(0)
				if length = info.contentLength; length == lengthNone {
					length = 0
				}
			case lengthChunked:
				data, n, err := d.next(unread)
				if err != nil {
					return got, err, false
				}
				m.body += string(data)
				unread = unread[n:]
				if !d.done() {
					more = len(unread) == 0
					continue
				}
				m.trailer = string(d.trailerSection())
				length = 0
			default:
				n := min(length, int64(len(unread)))
				m.body += string(unread[:n])
				unread = unread[n:]
				length -= n
				more = length > 0
			}
			if length == 0 {
				got = append(got, m)
				length = lengthNone
			}
		}
	}
	return got, nil, length != lengthNone || s.started()
}

// checkSplits reads the stream in one piece, then cut at every octet, cut
// twice, and octet by octet: the outcome must be the same.
func checkSplits(t *testing.T, stream []byte) ([]streamMessage, error, bool) {
	t.Helper()
	want, wantErr, wantPartial := readStream(stream)
	check := func(cuts ...int) {
		t.Helper()
		got, err, partial := readStream(stream, cuts...)
		if !slices.Equal(got, want) || err != wantErr || partial != wantPartial {
			t.Fatalf("%+q\ncuts %v: %+q, %v, %v\nin one piece: %+q, %v, %v", stream, cuts, got, err, partial, want, wantErr, wantPartial)
		}
	}
	for i := range stream {
		check(i)
		check(i, i+(len(stream)-i)/2)
	}
	check(upTo(len(stream))...)
	return want, wantErr, wantPartial
}

// Several requests in one stream come out alike however it is cut.
func TestStreamSplits(t *testing.T) {
	got, err, partial := checkSplits(t, []byte(smallHead+
		"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"+
		"\r\nPOST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"5;a=\"b;\\\"c\"\r\nhello\r\n00b ; d\r\n, big world\r\n0;e\r\nX-Sum: 1\r\nX-Two: 2\r\n\r\n"+
		"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+
		browserHead+"GET /last HTTP/1.0\r\n\r\n"))
	if err != nil || partial || len(got) != 6 {
		t.Fatalf("%d messages, %v, %v", len(got), err, partial)
	}
	if got[0].head != smallHead || got[1].body != "hello" || got[2].body != "hello, big world" ||
		got[2].trailer != "X-Sum: 1\r\nX-Two: 2\r\n\r\n" || got[3].body != "" || got[4].head != browserHead {
		t.Fatalf("%+q", got)
	}
}

// hidden is the request that a smuggling vector hides behind another.
const hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"

// smugglingVector hides a request behind another; want is how it is refused.
type smugglingVector struct {
	name, stream string
	want         error
}

// smugglingVectors are published request smuggling vectors.
func smugglingVectors() []smugglingVector {
	const line = "POST / HTTP/1.1\r\nHost: a\r\n"
	chunked := line + "Transfer-Encoding: chunked\r\n\r\n"
	te := func(field string) string { // the back end would read chunked, the front end a length, or reversed
		return line + "Content-Length: 4\r\n" + field + "\r\n\r\n5c\r\n" + hidden + "\r\n0\r\n\r\n"
	}
	only := func(field string) string { return line + field + "\r\n\r\n0\r\n\r\n" + hidden }
	return []smugglingVector{
		{"CL.TE", line + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, errLengthAndCoding},
		{"TE.CL", te("Transfer-Encoding: chunked"), errLengthAndCoding},
		{"CL.0", line + "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + hidden, errLengthTwice},
		{"CL.CL", line + "Content-Length: 44\r\nContent-Length: 0\r\n\r\n" + hidden, errLengthTwice},
		{"CL list", line + "Content-Length: 0, 44\r\n\r\n" + hidden, errContentLength},
		{"CL with plus", line + "Content-Length: +44\r\n\r\n" + hidden, errContentLength},
		{"CL with SP before the colon", line + "Content-Length : 44\r\n\r\n" + hidden, errFieldLine},
		{"CL after a bare CR", line + "X: y\rContent-Length: 44\r\n\r\n" + hidden, errBareCR},
		{"CL after a bare LF", line + "X: y\nContent-Length: 44\r\n\r\n" + hidden, errBareLF},
		{"CL after NUL", line + "X: y\x00Content-Length: 44\r\n\r\n" + hidden, errControlOctet},
		{"CL folded", line + "Content-Length:\r\n 44\r\n\r\n" + hidden, errObsFold},
		{"CL as first line of white space", "POST / HTTP/1.1\r\n Content-Length: 44\r\nHost: a\r\n\r\n" + hidden, errObsFold},
		{"TE.TE two lines", te("Transfer-Encoding: chunked\r\nTransfer-encoding: x"), errLengthAndCoding},
		{"TE.TE without length", only("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow"), errTransferEncoding},
		{"TE.TE reversed", only("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked"), errUnknownCoding},
		{"TE xchunked", only("Transfer-Encoding: xchunked"), errTransferEncoding},
		{"TE with SP before the colon", only("Transfer-Encoding : chunked"), errFieldLine},
		{"TE with HTAB before the colon", only("Transfer-Encoding\t: chunked"), errFieldLine},
		{"TE with VT", only("Transfer-Encoding: \x0bchunked"), errControlOctet},
		{"TE with FF", only("Transfer-Encoding:\x0cchunked"), errControlOctet},
		{"TE with NUL", only("Transfer-Encoding: chunked\x00"), errControlOctet},
		{"TE with NBSP", only("Transfer-Encoding: \xa0chunked"), errTransferEncoding},
		{"TE quoted", only("Transfer-Encoding: \"chunked\""), errTransferEncoding},
		{"TE folded value", only("Transfer-Encoding:\r\n chunked"), errObsFold},
		{"TE folded after another", only("X: y\r\n\tTransfer-Encoding: chunked"), errObsFold},
		{"TE after a bare LF", only("X: y\nTransfer-Encoding: chunked"), errBareLF},
		{"TE after a bare CR", only("X: y\rTransfer-Encoding: chunked"), errBareCR},
		{"TE ends with CR CR LF", only("Transfer-Encoding: chunked\r"), errBareCR},
		{"TE, identity", only("Transfer-Encoding: identity"), errTransferEncoding},
		{"TE, chunked and identity", only("Transfer-Encoding: chunked, identity"), errTransferEncoding},
		{"TE, HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, errCodingInHTTP10},
		{"field line without colon", only("Transfer-Encoding chunked"), errFieldLine},
		{"head that ends with LF LF", "GET / HTTP/1.1\r\nHost: a\n\n" + hidden, errBareLF},
		{"head that ends with LF CRLF", "GET / HTTP/1.1\r\nHost: a\n\r\n" + hidden, errBareLF},
		{"two request lines", "GET / HTTP/1.1\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n", errFieldLine},
		{"request line with HTTP/0.9", "GET /\r\n\r\n" + hidden, errRequestLine},
		{"request line split by CR", "GET / HTTP/1.1\rGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n", errBareCR},

		{"chunk size 0x0", chunked + "0x0\r\n\r\n" + hidden, errChunkSize},
		{"chunk size +0", chunked + "+0\r\n\r\n" + hidden, errChunkSize},
		{"chunk size -0", chunked + "-0\r\n\r\n" + hidden, errChunkSize},
		{"chunk size of SP", chunked + " 0\r\n\r\n" + hidden, errChunkSize},
		{"chunk size SP", chunked + "0 \r\n\r\n" + hidden, errChunkExt},
		{"chunk size empty", chunked + "\r\n\r\n" + hidden, errChunkSize},
		{"chunk size with underscore", chunked + "1_0\r\n\r\n" + hidden, errChunkSize},
		{"chunk size wraps to 0", chunked + "10000000000000000\r\n\r\n" + hidden, errChunkSizeRange},
		{"chunk size negative", chunked + "ffffffffffffffff\r\n\r\n" + hidden, errChunkSizeRange},
		{"chunk size ends with LF", chunked + "0\n\r\n" + hidden, errBareLF},
		{"chunk size ends with CR", chunked + "0\r\r\n" + hidden, errBareCR},
		{"LF in an extension", chunked + "2;\nxx\r\n4c\r\n0\r\n\r\n" + hidden, errChunkExt},
		{"CR in an extension", chunked + "2;a\rb\r\n0\r\n\r\n" + hidden, errBareCR},
		{"CRLF in a quoted extension", chunked + "2;a=\"\r\nxx\r\n0\r\n\r\n" + hidden, errChunkExt},
		{"CRLF in a quoted pair", chunked + "2;a=\"\\\r\nxx\r\n0\r\n\r\n" + hidden, errChunkExt},
		{"NUL in an extension", chunked + "2;a\x00\r\nxx\r\n0\r\n\r\n" + hidden, errChunkExt},
		{"chunk longer than its size", chunked + "2\r\nxxx\r\n0\r\n\r\n" + hidden, errChunkEnd},
		{"chunk ends with LF", chunked + "2\r\nxx\n0\r\n\r\n" + hidden, errChunkEnd},
		{"chunk ends with CR", chunked + "2\r\nxx\r0\r\n\r\n" + hidden, errChunkEnd},
		{"chunk ends with two octets of anything", chunked + "2\r\nxxYY0\r\n\r\n" + hidden, errChunkEnd},
		{"trailer with a length", chunked + "0\r\nContent-Length: 44\r\n\r\n" + hidden, errTrailerName},
		{"trailer with a coding", chunked + "0\r\nTransfer-Encoding: chunked\r\n\r\n" + hidden, errTrailerName},
		{"trailer with a bare LF", chunked + "0\r\nX: y\n\r\n" + hidden, errBareLF},
		{"trailer that ends with LF", chunked + "0\r\n\n" + hidden, errBareLF},
		{"trailer with SP before the colon", chunked + "0\r\nX : y\r\n\r\n" + hidden, errTrailerLine},
		{"trailer folded", chunked + "0\r\nX: y\r\n z\r\n\r\n" + hidden, errTrailerLine},
		{"request as a trailer", chunked + "0\r\n" + hidden, errTrailerLine},
	}
}

// No smuggling vector gets as far as the hidden request, and the connection ends
// with the refusal, wherever the stream is cut.
func TestSmuggling(t *testing.T) {
	for _, c := range smugglingVectors() {
		t.Run(c.name, func(t *testing.T) {
			got, err, _ := checkSplits(t, []byte(c.stream))
			if err != c.want || len(got) != 0 {
				t.Errorf("%+q: %+q, %v; want %v", c.stream, got, err, c.want)
			}
		})
	}
}
