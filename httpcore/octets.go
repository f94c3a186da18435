package httpcore

import "encoding/binary"

// Octet classes, one bit each, so that one table in cache serves all grammars.
const (
	octTchar   = 1 << iota // token: RFC 9110 section 5.6.2
	octRegName             // unreserved / sub-delims: RFC 3986 sections 2.2 and 2.3
	octHex                 // HEXDIG: RFC 5234 appendix B.1
	octDigit               // DIGIT
	octField               // in a field value: HTAB / SP / VCHAR / obs-text: RFC 9110 section 5.5
)

var octets = func() (t [256]uint8) {
	set := func(s string, class uint8) {
		for i := range len(s) {
			t[s[i]] |= class
		}
	}
	const alpha = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	const digit = "0123456789"
	set(alpha+digit+"!#$%&'*+-.^_`|~", octTchar)
	set(alpha+digit+"-._~"+"!$&'()*+,;=", octRegName)
	set(digit+"abcdefABCDEF", octHex)
	set(digit, octDigit)
	for c := range 256 {
		if c == '\t' || c >= ' ' && c != 0x7f {
			t[c] |= octField
		}
	}
	return t
}()

const (
	lanes     = 0x0101010101010101
	laneHighs = 0x8080808080808080
)

func loadWord(p []byte) uint64 { return binary.LittleEndian.Uint64(p) }

// ctlMask flags the control octets (below SP, or DEL) among the eight of w: none
// is missed, and what lies below the lowest flag holds none. That flag itself
// may be false where an octet FF precedes a "~", so look at the octet. Its
// index is TrailingZeros64(mask)/8.
func ctlMask(w uint64) uint64 {
	return ((w - ' '*lanes) | (w + lanes)) &^ w & laneHighs
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// equalFold tells whether b is lower in any ASCII case; lower is in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range b {
		if lowerASCII(b[i]) != lower[i] {
			return false
		}
	}
	return true
}

// trimOWS drops optional white space, SP and HTAB, at both ends (RFC 9110
// section 5.6.3).
func trimOWS(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// isToken tells whether b is a token (RFC 9110 section 5.6.2).
func isToken(b []byte) bool { return len(b) > 0 && tokenLen(b) == len(b) }

// tokenLen counts the token octets that b begins with.
func tokenLen(b []byte) int {
	for i, c := range b {
		if octets[c]&octTchar == 0 {
			return i
		}
	}
	return len(b)
}
