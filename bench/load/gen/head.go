package gen

import "bytes"

// head parses the head at b's beginning. It returns 0 if it is not whole, and
// done if the response has no body. An interim response (1xx) is skipped.
func (p *parser) head(b []byte, t *template) (n int, done bool, err error) {
	if n, err = p.findHead(b); n == 0 || err != nil {
		return 0, false, err
	}
	p.scanned = 0
	f, err := parseHead(b[:n])
	switch {
	case err != nil:
		return 0, false, err
	case f.status == 101:
		return 0, false, errUpgrade
	case f.status < 200:
		return n, false, nil
	}
	p.begin(f.status, f.length)
	p.last = f.closing
	// RFC 9112 section 6.3, in its order.
	switch {
	case p.noBody || f.status == 204 || f.status == 304:
		p.state = inHead
		return n, true, nil
	case f.chunked:
		p.state, p.trailing = inChunkSize, 0
		return n, false, nil
	case f.length < 0:
		p.state, p.last = inClosed, true
		return n, false, nil
	}
	if !f.closing {
		t.head, t.status, t.length = append(t.head[:0], b[:n]...), f.status, f.length
	}
	return n, f.length == 0, nil
}

// findHead returns the length of the head at b's beginning, 0 if it is not
// whole. It looks at no octet twice when b grows, and early for what can never
// become a response.
func (p *parser) findHead(b []byte) (int, error) {
	const version = "HTTP/1."
	if k := min(len(b), len(version)); string(b[:k]) != version[:k] {
		return 0, errNotHTTP
	}
	from := max(p.scanned-len(endOfHead)+1, 0)
	i := bytes.Index(b[from:], endOfHead)
	if i < 0 {
		if p.scanned = len(b); len(b) > maxHead {
			return 0, errHeadSize
		}
		return 0, nil
	}
	n := from + i + len(endOfHead)
	if n > maxHead {
		return 0, errHeadSize
	}
	return n, nil
}

// headFields is what of a head decides on framing.
type headFields struct {
	status  int
	length  int64 // of the body, -1 if not given
	chunked bool
	closing bool
}

// parseHead takes a whole head apart, with the empty line at its end.
func parseHead(b []byte) (f headFields, err error) {
	line, b, _ := bytes.Cut(b, crlf)
	// HTTP/1.1 SP 3DIGIT [SP reason], RFC 9112 section 4; the SP before an
	// empty reason is often left out.
	if len(line) < len("HTTP/1.1 200") || (line[7] != '0' && line[7] != '1') || line[8] != ' ' ||
		(len(line) > 12 && line[12] != ' ') {
		return f, errNotHTTP
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return f, errNotHTTP
		}
		f.status = 10*f.status + int(c-'0')
	}
	if f.status < 100 || f.status > 599 || bytes.IndexByte(line, '\n') >= 0 || bytes.IndexByte(line, '\r') >= 0 {
		return f, errNotHTTP
	}
	f.length = -1
	oldVersion := line[7] == '0'
	keepAlive, coded := false, false
	for len(b) > len(crlf) {
		line, b, _ = bytes.Cut(b, crlf)
		name, value, err := cutField(line)
		if err != nil {
			return f, err
		}
		switch { // EqualFold does not look far into names of other lengths
		case equalFold(name, "content-length"):
			n, ok := parseLength(value)
			if !ok || (f.length >= 0 && n != f.length) {
				return f, errLength
			}
			f.length = n
		case equalFold(name, "transfer-encoding"):
			if coded || !equalFold(value, "chunked") {
				return f, errCoding
			}
			coded = true
		case equalFold(name, "connection"):
			for option := range bytes.SplitSeq(value, []byte(",")) {
				option = bytes.Trim(option, " \t")
				f.closing = f.closing || equalFold(option, "close")
				keepAlive = keepAlive || equalFold(option, "keep-alive")
			}
		}
	}
	if oldVersion && coded {
		return f, errCoding // RFC 9112 section 6.1: its framing is faulty
	}
	f.closing = f.closing || (oldVersion && !keepAlive)
	if f.chunked = coded; coded && f.length >= 0 {
		f.closing = true // RFC 9112 section 6.3: it might be an attack
	}
	return f, nil
}

// cutField takes a header or trailer line apart: no blank before the colon, no
// folded line, no control characters.
func cutField(line []byte) (name, value []byte, err error) {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 {
		return nil, nil, errField
	}
	for _, c := range name {
		if !tokenChar[c] {
			return nil, nil, errField
		}
	}
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return nil, nil, errField
		}
	}
	return name, bytes.Trim(value, " \t"), nil
}

func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// parseLength reads a Content-Length: digits only, RFC 9110 section 8.6.
func parseLength(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 { // fits into an int64
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}
