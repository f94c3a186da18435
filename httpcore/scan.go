package httpcore

import "math/bits"

// maxEmptyLines is how many empty lines may come before a request line. RFC
// 9112 section 2.2 wants at least one to be ignored (old clients send one
// after a body); a stream of nothing else is a waste that ends here.
const maxEmptyLines = 4

// A headScanner finds where a request head ends. It is the one authority on
// that, and strict (RFC 9112 sections 2.2 and 5.2 leave the choice):
//
//   - A line ends with CRLF. A bare LF or a bare CR is refused.
//   - No control octet but HTAB has a place in a head: any other is refused as
//     soon as it arrives, so a TLS ClientHello or a NUL waits for no timeout.
//   - A line that continues the one before (obs-fold) is refused.
//   - Up to maxEmptyLines empty lines before the request line belong to the head.
//
// It remembers where it stopped: a head that dribbles in costs O(n) in all.
// The zero value is ready for use; one goroutine at a time.
type headScanner struct {
	pos   int32 // octets examined; those before are clean (a head has 1 GiB at most)
	empty uint8 // empty lines before the request line
	state uint8
}

const (
	scanBefore    = iota // at the start of a line, before the request line
	scanLineStart        // at the start of any later line
	scanWithin           // within a line
)

// reset makes s ready for the next head.
func (s *headScanner) reset() { *s = headScanner{} }

// started tells whether a request line has begun: until then the connection
// is idle, whatever empty lines have arrived.
func (s *headScanner) started() bool { return s.state != scanBefore }

// scan looks for the end of the head that begins at p[0]. Call it again with
// the same octets and more until it answers: n > 0, the head is p[:n], with
// empty lines before it and the one that ends it; n == 0, more is needed; err,
// the refusal (a *refusal), which no further octet would undo. The caller
// bounds len(p); p is only read and not kept.
func (s *headScanner) scan(p []byte) (n int, err error) {
	i, state := int(s.pos), s.state
	for {
		if state != scanWithin {
			if i >= len(p) {
				break
			}
			c := p[i]
			if c == '\r' { // an empty line
				if i+1 >= len(p) {
					break
				}
				if p[i+1] != '\n' {
					return 0, errBareCR
				}
				i += 2
				if state == scanLineStart {
					return i, nil
				}
				if s.empty++; s.empty > maxEmptyLines {
					return 0, errEmptyLines
				}
				continue
			}
			if state == scanLineStart {
				if c == ' ' || c == '\t' {
					return 0, errObsFold
				}
			} else if octets[c]&octTchar == 0 {
				return 0, errNotARequest
			}
			state = scanWithin
		}

		// Go to the next control octet, sixteen at a time.
		for len(p)-i >= 16 {
			q := p[i : i+16]
			lo, hi := ctlMask(loadWord(q)), ctlMask(loadWord(q[8:]))
			if lo != 0 {
				i += bits.TrailingZeros64(lo) >> 3
				goto control
			}
			if hi != 0 {
				i += 8 + bits.TrailingZeros64(hi)>>3
				goto control
			}
			i += 16
		}
		for i < len(p) && octets[p[i]]&octField != 0 {
			i++
		}
		if i >= len(p) {
			break
		}
	control:
		switch p[i] {
		case '\t':
			i++
		case '\r':
			if i+1 >= len(p) {
				s.pos, s.state = int32(i), state
				return 0, nil
			}
			if p[i+1] != '\n' {
				return 0, errBareCR
			}
			i += 2
			state = scanLineStart
		case '\n':
			return 0, errBareLF
		default:
			if octets[p[i]]&octField == 0 {
				return 0, errControlOctet
			}
			i++
		}
	}
	s.pos, s.state = int32(i), state
	return 0, nil
}
