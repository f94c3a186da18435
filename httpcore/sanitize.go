package httpcore

import (
	"bytes"
	"math/bits"

	"github.com/valyala/fasthttp"
)

// A handler sets what goes into a response head, often from what a client
// sent. fasthttp v1.77 replaces CR and LF by spaces in every value, in the
// status message, the protocol and cookies, and in names except those given to
// SetCanonical; it lets every other control octet through. Two checks make a
// split response impossible (CWE-113): namesEndNoLine before the head
// is serialised, sanitizeHead after it.

// namesEndNoLine tells whether no field name of h holds a CR or LF. Where it is
// false, a name would begin a line of its own in the head: answer 500 instead.
// Call it before h is serialised, from the goroutine that owns h. Names that
// are no token but stay on their line pass, as fasthttp has always sent them.
func namesEndNoLine(h *fasthttp.ResponseHeader) bool {
	for name := range h.All() {
		n := len(name)
		if n >= 8 { // whole words, the last of which overlaps the one before
			m := ctlMask(loadWord(name[n-8:]))
			for i := 0; i < n-8; i += 8 {
				m |= ctlMask(loadWord(name[i:]))
			}
			if m == 0 {
				continue
			}
		}
		if bytes.IndexByte(name, '\r') >= 0 || bytes.IndexByte(name, '\n') >= 0 {
			return false
		}
	}
	return true
}

// sanitizeHead replaces, in place, each control octet of a serialised response
// head or trailer section that is neither HTAB nor part of a CRLF by a space
// (RFC 9110 section 5.5). It tells whether the only empty line is at the end,
// as in any head of one response: otherwise nothing of p may be sent.
func sanitizeHead(p []byte) bool {
	line := 0 // where the current line begins
	for i := 0; i < len(p); {
		if len(p)-i >= 8 {
			m := ctlMask(loadWord(p[i:]))
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) >> 3
		}
		switch c := p[i]; {
		case octets[c]&octField != 0:
		case c == '\r' && i+1 < len(p) && p[i+1] == '\n':
			if i == line {
				return i+2 == len(p)
			}
			i += 2
			line = i
			continue
		default:
			p[i] = ' '
		}
		i++
	}
	return false
}
