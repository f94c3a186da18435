package httpcore

import "bytes"

const (
	// maxChunkDigits bounds a chunk size, leading zeros included. Sixteen
	// digits whose value is within an int64 cannot overflow it.
	maxChunkDigits = 16

	// Chunk extensions mean nothing to this server (RFC 9112 section 7.1.1:
	// ignore what is unrecognised), so they are bounded: octets per line, and
	// octets in a whole body beyond one per maxChunkExtRatio octets of data.
	maxChunkExtLine  = 1024
	maxChunkExtTotal = 16 << 10
	maxChunkExtRatio = 8

	// maxTrailerSection bounds the trailer section, in octets with its CRLFs.
	maxTrailerSection = 8 << 10
)

// A chunkedDecoder decodes a body in the chunked transfer coding (RFC 9112
// section 7.1) from octets as they arrive, in pieces of any size, without
// copying the data. It is strict: CRLF everywhere, no white space but the BWS
// that the grammar has around ";" and "=" of an extension, quoted strings as
// RFC 9110 section 5.6.4 has them.
//
// Call reset before each body; one goroutine at a time.
type chunkedDecoder struct {
	state   chunkState
	digits  uint8 // of the chunk size
	left    int64 // the size read so far, then octets of the chunk to come
	body    int64 // octets of data handed out
	maxBody int64 // limit of body; 0: none
	extLine int   // octets of extensions in this line
	ext     int64 // octets of extensions in this body
	line    int   // where in trailer the current line begins
	trailer []byte
	err     error
}

// A chunkState names what comes next.
//
//	size ─┬─────────────────────────────► sizeLF ─► data ─► dataCR ─► dataLF ─► size
//	      └─► ext… (back and forth) ──────┘   │ size 0
//	                                          └─► trailerStart ─┬─► trailerLine ─► trailerStart
//	                                                            └─► endLF ─► done
type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExtSemicolon
	chunkExtName
	chunkExtInName
	chunkExtAfterName
	chunkExtValue
	chunkExtInValue
	chunkExtQuoted
	chunkExtQuotedPair
	chunkExtQuoteEnd
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailerStart
	chunkTrailerLine
	chunkEndLF
	chunkDone
)

// reset makes d ready for a body of at most maxBody octets (0: no limit). What
// trailerSection returned is overwritten.
func (d *chunkedDecoder) reset(maxBody int64) {
	*d = chunkedDecoder{maxBody: maxBody, trailer: d.trailer[:0]}
}

// done tells whether the body and its trailer section are complete. Octets
// that next did not consume belong to the next request.
func (d *chunkedDecoder) done() bool { return d.state == chunkDone }

// trailerSection is the raw trailer section with the empty line that ends it,
// every field line valid and none forbidden, so that fasthttp's
// Header.ReadTrailer takes it; nil without trailer fields. It is d's own copy,
// valid until reset; ask when done.
func (d *chunkedDecoder) trailerSection() []byte {
	if len(d.trailer) == 0 {
		return nil
	}
	return d.trailer
}

// next takes octets of the body from p. It stops after the first run of data
// and returns it as a sub-slice of p (valid as long as p is), or with data nil
// when it has used up p, or the body is done, or err is set. consumed counts
// the octets of p that it is through with: call again with the rest while
// consumed < len(p) and the body is not done. Once set, err (a *refusal)
// stays. A connection that ends before done is the caller's affair.
func (d *chunkedDecoder) next(p []byte) (data []byte, consumed int, err error) {
	if d.err != nil {
		return nil, 0, d.err
	}
	for i := 0; i < len(p); {
		c := p[i]
		switch d.state {
		case chunkSize:
			if octets[c]&octHex != 0 { // chunk-size = 1*HEXDIG
				if d.digits == maxChunkDigits || d.left >= 1<<59 {
					return d.fail(i, errChunkSizeRange)
				}
				d.digits++
				d.left = d.left<<4 | hexValue(c)
				break
			}
			if d.digits == 0 {
				return d.fail(i, errChunkSize)
			}
			if r := d.afterSizeOrExt(c); r != nil {
				return d.fail(i, r)
			}
		case chunkSizeLF:
			if c != '\n' {
				return d.fail(i, errBareCR)
			}
			d.digits, d.extLine = 0, 0
			if d.left == 0 { // last-chunk
				d.state = chunkTrailerStart
				break
			}
			// Refuse a chunk that is too large before its data comes.
			if d.maxBody > 0 && d.left > d.maxBody-d.body {
				return d.fail(i, errChunkedTooLarge)
			}
			d.state = chunkData
		case chunkData:
			data = p[i:]
			if int64(len(data)) >= d.left {
				data = data[:d.left]
				d.state = chunkDataCR
			}
			d.left -= int64(len(data))
			d.body += int64(len(data))
			return data, i + len(data), nil
		case chunkDataCR:
			if c != '\r' {
				return d.fail(i, errChunkEnd)
			}
			d.state = chunkDataLF
		case chunkDataLF:
			if c != '\n' {
				return d.fail(i, errChunkEnd)
			}
			d.state = chunkSize
		case chunkTrailerStart:
			if c == '\r' {
				d.state = chunkEndLF
				break
			}
			d.state = chunkTrailerLine
			continue
		case chunkTrailerLine:
			n, r := d.takeTrailer(p[i:])
			if r != nil {
				return d.fail(i, r)
			}
			i += n
			continue
		case chunkEndLF:
			if c != '\n' {
				return d.fail(i, errBareCR)
			}
			if len(d.trailer) > 0 {
				d.trailer = append(d.trailer, '\r', '\n')
			}
			d.state = chunkDone
			return nil, i + 1, nil
		case chunkDone:
			return nil, i, nil
		default:
			if r := d.takeExt(c); r != nil {
				return d.fail(i, r)
			}
		}
		i++
	}
	return nil, len(p), nil
}

// unread gives back the last n octets of the data that next has just returned:
// they have to come again. The caller must not consume them.
func (d *chunkedDecoder) unread(n int) {
	d.state = chunkData
	d.left += int64(n)
	d.body -= int64(n)
}

func (d *chunkedDecoder) fail(i int, r *refusal) ([]byte, int, error) {
	d.err = r
	return nil, i, r
}

func hexValue(c byte) int64 {
	if c <= '9' {
		return int64(c - '0')
	}
	return int64(c|0x20) - 'a' + 10
}

// afterSizeOrExt takes what may follow a size or a complete extension.
func (d *chunkedDecoder) afterSizeOrExt(c byte) *refusal {
	switch c {
	case '\r':
		d.state = chunkSizeLF
		return nil
	case ';':
		d.state = chunkExtName
	case ' ', '\t': // BWS, which only ";" may follow
		d.state = chunkExtSemicolon
	case '\n':
		return errBareLF
	default:
		if d.extLine == 0 {
			return errChunkSize
		}
		return errChunkExt
	}
	return d.countExt()
}

// countExt counts one octet of an extension against the limits.
func (d *chunkedDecoder) countExt() *refusal {
	d.extLine++
	d.ext++
	if d.extLine > maxChunkExtLine || d.ext > maxChunkExtTotal+d.body/maxChunkExtRatio {
		return errChunkExtTooLong
	}
	return nil
}

// takeExt takes one octet of
//
//	chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
//	chunk-ext-val = token / quoted-string
//
// (RFC 9112 section 7.1.1). BWS must be parsed (RFC 9110 section 5.6.3), and
// only where the grammar has it: none before CRLF.
func (d *chunkedDecoder) takeExt(c byte) *refusal {
	class := octets[c]
	bws := c == ' ' || c == '\t'
	ok := true
	switch d.state {
	case chunkExtSemicolon:
		if c == ';' {
			d.state = chunkExtName
		} else {
			ok = bws
		}
	case chunkExtName:
		if class&octTchar != 0 {
			d.state = chunkExtInName
		} else {
			ok = bws
		}
	case chunkExtInName:
		switch {
		case class&octTchar != 0:
		case c == '=':
			d.state = chunkExtValue
		case bws:
			d.state = chunkExtAfterName
		default:
			return d.afterSizeOrExt(c)
		}
	case chunkExtAfterName:
		switch c {
		case '=':
			d.state = chunkExtValue
		case ';':
			d.state = chunkExtName
		default:
			ok = bws
		}
	case chunkExtValue:
		switch {
		case c == '"':
			d.state = chunkExtQuoted
		case class&octTchar != 0:
			d.state = chunkExtInValue
		default:
			ok = bws
		}
	case chunkExtInValue:
		if class&octTchar == 0 {
			return d.afterSizeOrExt(c)
		}
	case chunkExtQuoted:
		switch {
		case c == '"':
			d.state = chunkExtQuoteEnd
		case c == '\\':
			d.state = chunkExtQuotedPair
		default:
			ok = class&octField != 0 // qdtext and the two above
		}
	case chunkExtQuotedPair:
		ok = class&octField != 0
		d.state = chunkExtQuoted
	case chunkExtQuoteEnd:
		return d.afterSizeOrExt(c)
	}
	if !ok {
		return errChunkExt
	}
	return d.countExt()
}

// takeTrailer copies trailer octets from p up to the end of a line, and judges
// the line once it is whole.
func (d *chunkedDecoder) takeTrailer(p []byte) (n int, r *refusal) {
	lf := bytes.IndexByte(p, '\n')
	n = lf + 1
	if lf < 0 {
		n = len(p)
	}
	if len(d.trailer)+n > maxTrailerSection-2 { // 2: the CRLF that ends the section
		return 0, errTrailerTooLarge
	}
	d.trailer = append(d.trailer, p[:n]...)
	if lf < 0 {
		return n, nil
	}
	line := d.trailer[d.line:]
	d.line = len(d.trailer)
	d.state = chunkTrailerStart
	return n, guardTrailerLine(line[:len(line)-1])
}
