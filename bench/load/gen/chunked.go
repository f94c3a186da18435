package gen

import "bytes"

// chunkSize parses a chunk-size line (RFC 9112 section 7.1), 0 if it is not whole.
func (p *parser) chunkSize(b []byte) (int, error) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 && len(b) <= maxChunkLine {
		return 0, nil
	}
	if i < 1 || i > maxChunkLine || b[i-1] != '\r' {
		return 0, errChunk
	}
	size, digits := int64(0), 0
	for _, c := range b[:i-1] {
		d := hexDigit(c)
		if d < 0 {
			break
		}
		size = size<<4 | int64(d)
		if digits++; digits > 15 { // fits into an int64
			return 0, errChunk
		}
	}
	// behind the size only an extension, which may have blanks before it
	rest := bytes.TrimLeft(b[digits:i-1], " \t")
	if digits == 0 || (len(rest) > 0 && rest[0] != ';') || bytes.IndexByte(rest, '\r') >= 0 {
		return 0, errChunk
	}
	p.state, p.left = inChunk, size
	if size == 0 {
		p.state = inTrailer
	}
	return i + 1, nil
}

// chunkEnd takes the CRLF behind a chunk's data.
func (p *parser) chunkEnd(b []byte) (int, error) {
	if k := min(len(b), len(crlf)); !bytes.Equal(b[:k], crlf[:k]) {
		return 0, errChunk
	} else if k < len(crlf) {
		return 0, nil
	}
	p.state = inChunkSize
	return len(crlf), nil
}

// trailer takes a trailer field, or the empty line that ends the response.
func (p *parser) trailer(b []byte) (n int, done bool, err error) {
	i := bytes.IndexByte(b, '\n')
	if p.trailing+len(b) > maxHead && (i < 0 || p.trailing+i > maxHead) {
		return 0, false, errHeadSize
	}
	switch {
	case i < 0:
		return 0, false, nil
	case i < 1 || b[i-1] != '\r':
		return 0, false, errChunk
	case i == 1:
		return len(crlf), true, nil
	}
	if _, _, err := cutField(b[:i-1]); err != nil {
		return 0, false, err
	}
	p.trailing += i + 1
	return i + 1, false, nil
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
