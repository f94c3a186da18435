package httpcore

import (
	"bytes"
	"math"
)

// What a head says about the length of the content after it: octets, or
const (
	lengthChunked = -1 // Transfer-Encoding: chunked
	lengthNone    = -2 // neither Content-Length nor Transfer-Encoding: no content
)

// headInfo is what guardHead reads from a head. Four words that stay in
// registers: a larger struct costs as much as the rest of a small head.
type headInfo struct {
	contentLength  int64    // octets ≥ 0, lengthChunked or lengthNone
	refusal        *refusal // nil: fine; else answer its status and close
	http11         bool     // HTTP/1.1 or a later 1.x; false for HTTP/1.0
	expectContinue bool     // the client waits for 100 before it sends its content
}

func refused(r *refusal) headInfo { return headInfo{contentLength: lengthNone, refusal: r} }

// A guard checks the heads of requests. It remembers the last Host that was
// found valid: nearly all requests of a server have the same one. One goroutine
// at a time; the zero value is ready for use.
type guard struct {
	host []byte
}

// check checks a head that headScanner has delimited, before fasthttp
// parses it: what it accepts, fasthttp accepts with the same framing, and what
// fasthttp would let through against the RFC is refused. It relies on the
// scanner for line ends and control octets, and panics on no input.
//
// It writes into p, which must be our own buffer, in two places, so that
// fasthttp understands what the RFC allows: a minor version above 1 becomes 1
// (RFC 9110 section 2.5: a server answers with its own minor version), and
// empty elements disappear from a Trailer list (RFC 9110 section 5.6.1.2).
// It keeps nothing of p.
func (g *guard) check(p []byte) headInfo {
	for len(p) >= 2 && p[0] == '\r' && p[1] == '\n' { // RFC 9112 section 2.2
		p = p[2:]
	}
	end := bytes.IndexByte(p, '\r')
	if end < 0 {
		return refused(errHeadIncomplete)
	}
	http11, r := guardRequestLine(p[:end])
	if r != nil {
		return refused(r)
	}
	f := fields{contentLength: lengthNone}
	for {
		if len(p) < end+3 { // CRLF and what the next line begins with
			return refused(errHeadIncomplete)
		}
		p = p[end+2:]
		if p[0] == '\r' {
			return f.verdict(http11)
		}
		// field-line = field-name ":" OWS field-value OWS (RFC 9112 section 5).
		// The name is a token and the colon follows it at once (section 5.1).
		colon := tokenLen(p)
		if colon == 0 || colon >= len(p) || p[colon] != ':' {
			return refused(errFieldLine)
		}
		end = bytes.IndexByte(p[colon:], '\r')
		if end < 0 {
			return refused(errHeadIncomplete)
		}
		end += colon
		if r := f.take(g, p[:colon], p[colon+1:end]); r != nil {
			return refused(r)
		}
	}
}

// fields gathers the few fields that decide on framing and routing.
type fields struct {
	contentLength int64
	coding        codings
	host          bool // seen
	hostEmpty     bool
	length        bool // seen
	expect        expectation
}

// take looks at one field; value still has its optional white space.
func (f *fields) take(g *guard, name, value []byte) *refusal {
	switch len(name) {
	case len("host"):
		// RFC 9112 section 3.2: 400 to more than one Host field line and to an
		// invalid value, in any version.
		if equalFold(name, "host") {
			if f.host {
				return errHostTwice
			}
			f.host = true
			value = trimOWS(value)
			f.hostEmpty = len(value) == 0
			if !f.hostEmpty && !g.validHost(value) {
				return errHost
			}
		}
	case len("expect"):
		if equalFold(name, "expect") {
			f.expect |= parseExpect(value)
		}
	case len("trailer"):
		if equalFold(name, "trailer") && !tidyTrailerField(value) {
			return errTrailerField
		}
	case len("content-length"):
		// RFC 9112 section 6.3 and RFC 9110 section 8.6: a list of equal
		// values may be refused, and so may a repeated field; both are.
		if equalFold(name, "content-length") {
			if f.length {
				return errLengthTwice
			}
			f.length = true
			n, ok := parseContentLength(trimOWS(value))
			if !ok {
				return errContentLength
			}
			f.contentLength = n
		}
	case len("transfer-encoding"):
		if equalFold(name, "transfer-encoding") {
			f.coding = f.coding.add(value)
		}
	}
	return nil
}

// maxKnownHost bounds what is remembered.
const maxKnownHost = 256

func (g *guard) validHost(value []byte) bool {
	if bytes.Equal(value, g.host) {
		return true
	}
	if !validHost(value) {
		return false
	}
	if len(value) <= maxKnownHost {
		g.host = append(g.host[:0], value...)
	}
	return true
}

// verdict judges the fields together once the last one is known.
func (f *fields) verdict(http11 bool) headInfo {
	if http11 {
		// RFC 9112 section 3.2: 400 to an HTTP/1.1 request without Host. An
		// empty value is right only where the target has no authority, which
		// no http URI lacks (RFC 9110 section 4.2.1): refused as well.
		if !f.host {
			return refused(errHostMissing)
		}
		if f.hostEmpty {
			return refused(errHost)
		}
	}
	if f.coding != 0 {
		switch {
		case !http11: // RFC 9112 section 6.1: treat the framing as faulty
			return refused(errCodingInHTTP10)
		case f.length: // section 6.3 item 3: ought to be handled as an error
			return refused(errLengthAndCoding)
		}
		if r := f.coding.verdict(); r != nil {
			return refused(r)
		}
		f.contentLength = lengthChunked
	}
	info := headInfo{contentLength: f.contentLength, http11: http11}
	// RFC 9110 section 10.1.1: ignored in HTTP/1.0; 417 to what is unknown;
	// 100 may be omitted where no content will come.
	if http11 && f.expect != 0 {
		if f.expect&expectUnknown != 0 {
			return refused(errExpectation)
		}
		info.expectContinue = f.contentLength > 0 || f.contentLength == lengthChunked
	}
	return info
}

// parseContentLength reads 1*DIGIT (RFC 9110 section 8.6). It refuses what an
// int cannot hold, for fasthttp counts in int.
func parseContentLength(b []byte) (int64, bool) {
	if len(b) == 0 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		d := int64(c) - '0'
		if d < 0 || d > 9 || n > (math.MaxInt-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

// codings gathers the elements of all Transfer-Encoding field lines.
type codings uint8

const (
	codingSeen      codings = 1 << iota
	codingLast              // chunked is the last one so far
	codingUnknown           // some other coding
	codingMalformed         // no list of tokens, or chunked twice or with parameters
)

// add takes one field line: #transfer-coding (RFC 9112 section 6.1). Exactly
// "chunked" is the only value that verdict will pass.
func (c codings) add(value []byte) codings {
	for more := true; more; {
		var element []byte
		element, value, more = bytes.Cut(value, comma)
		element = trimOWS(element)
		n := tokenLen(element)
		switch {
		case !equalFold(element[:n], "chunked"):
			if n == 0 || n < len(element) && trimOWS(element[n:])[0] != ';' {
				c |= codingMalformed // empty elements too: two readings, one too many
			}
			c = c&^codingLast | codingUnknown
		case n < len(element), c&codingLast != 0:
			c |= codingMalformed
		default:
			c |= codingLast
		}
		c |= codingSeen
	}
	return c
}

// verdict refuses everything but a single chunked. RFC 9112 section 6.3 item
// 4: 400 where chunked is not the final coding (identity and xchunked are such
// cases); section 7.1: parameters and a second chunked are errors; section
// 6.1: 501 where other codings precede it.
func (c codings) verdict() *refusal {
	switch {
	case c == codingSeen|codingLast:
		return nil
	case c&codingMalformed != 0 || c&codingLast == 0:
		return errTransferEncoding
	default:
		return errUnknownCoding
	}
}

type expectation uint8

const (
	expect100 expectation = 1 << iota
	expectUnknown
)

// parseExpect reads #expectation, ignoring empty elements (RFC 9110 sections
// 10.1.1 and 5.6.1.2).
func parseExpect(value []byte) (e expectation) {
	for more := true; more; {
		var element []byte
		element, value, more = bytes.Cut(value, comma)
		switch element = trimOWS(element); {
		case len(element) == 0:
		case equalFold(element, "100-continue"):
			e |= expect100
		default:
			e |= expectUnknown
		}
	}
	return e
}

var comma = []byte{','}

// tidyTrailerField checks a Trailer field, #field-name (RFC 9110 section
// 6.6.2), and drops its empty elements in place, which fasthttp would refuse.
// It is false for what is no field name or names a field that no trailer
// section may hold (section 6.5.1).
func tidyTrailerField(value []byte) bool {
	rest, w := value, 0
	for more := true; more; {
		var element []byte
		element, rest, more = bytes.Cut(rest, comma)
		element = trimOWS(element)
		if len(element) == 0 {
			continue
		}
		if !isToken(element) || forbiddenTrailer(element) {
			return false
		}
		if w > 0 {
			value[w] = ','
			w++
		}
		w += copy(value[w:], element) // never past what has been read
	}
	for ; w < len(value); w++ {
		value[w] = ' '
	}
	return true
}
