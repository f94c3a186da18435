package gen

import (
	"errors"
	"fmt"
	"hash"
)

// parser takes responses apart as their octets come. It needs a head, a
// chunk's size or a trailer field in one piece and leaves it unconsumed until
// it is whole; of bodies it keeps nothing. The zero value waits for a response.
type parser struct {
	state  parserState
	noBody bool // for a request whose response has none: HEAD

	// Of the response at hand, once its head has been parsed.
	status int
	length int64 // octets of body so far
	last   bool  // the connection ends with it

	hash hash.Hash // gets the body, if not nil

	left     int64 // octets of body, or of a chunk's data, still to come
	scanned  int   // octets that are known not to hold the end of the head
	trailing int   // octets of trailer fields
}

type parserState uint8

const (
	inHead      parserState = iota
	inBody                  // of known length
	inClosed                // body until the connection's end
	inChunkSize             // at a chunk-size line
	inChunk                 // at chunk data
	inChunkEnd              // at the CRLF behind it
	inTrailer               // at a trailer field or the last CRLF
)

const (
	maxHead      = 32 << 10 // octets, also of all trailer fields
	maxChunkLine = 4 << 10  // octets
)

// template remembers the last head for a kind of request: one that is equal
// octet by octet means the same and need not be parsed again. Servers send the
// same head until the Date changes, once a second.
type template struct {
	head   []byte
	status int
	length int64
}

// What may be wrong with a response.
var (
	errNotHTTP   = errors.New("not an HTTP/1 response")
	errHeadSize  = fmt.Errorf("head of more than %d octets", maxHead)
	errField     = errors.New("malformed header field")
	errLength    = errors.New("malformed or contradictory Content-Length")
	errCoding    = errors.New("transfer coding other than chunked")
	errUpgrade   = errors.New("unasked switch of protocols")
	errChunk     = errors.New("malformed chunk")
	errTruncated = errors.New("connection ended within a response")

	crlf      = []byte("\r\n")
	endOfHead = []byte("\r\n\r\n")
)

// next takes octets of a response from b and returns how many, and whether the
// response is complete with them; it stops behind its last one. What it leaves
// has to come again, with more behind it. After an error the parser is spent.
func (p *parser) next(b []byte, t *template) (n int, done bool, err error) {
	for {
		var k int
		switch rest := b[n:]; p.state {
		case inHead:
			if h := len(t.head); h > 0 && len(rest) >= h && !p.noBody && string(rest[:h]) == string(t.head) {
				p.begin(t.status, t.length)
				k, done = h, t.length == 0
			} else {
				k, done, err = p.head(rest, t)
			}
		case inBody, inChunk:
			k = p.body(rest[:min(p.left, int64(len(rest)))])
			if p.left -= int64(k); p.left == 0 {
				done = p.state == inBody
				p.state = inChunkEnd
			}
		case inClosed:
			k = p.body(rest)
		case inChunkSize:
			k, err = p.chunkSize(rest)
		case inChunkEnd:
			k, err = p.chunkEnd(rest)
		case inTrailer:
			k, done, err = p.trailer(rest)
		}
		n += k
		if done {
			p.state = inHead
			return n, true, nil
		}
		if k == 0 || err != nil {
			return n, false, err
		}
	}
}

// begin sets up for a body of the given length.
func (p *parser) begin(status int, length int64) {
	p.status, p.length, p.left, p.scanned, p.last = status, 0, length, 0, false
	if length > 0 {
		p.state = inBody
	}
	if p.hash != nil {
		p.hash.Reset()
	}
}

func (p *parser) body(b []byte) int {
	p.length += int64(len(b))
	if p.hash != nil {
		_, _ = p.hash.Write(b) // never fails
	}
	return len(b)
}

// idle reports whether the parser is between responses.
func (p *parser) idle() bool { return p.state == inHead }

// end tells of the connection's end, and reports whether that completes the
// response at hand.
func (p *parser) end() error {
	if p.state != inClosed {
		return errTruncated
	}
	p.state = inHead
	return nil
}
