package httpcore

import (
	"bytes"
	"net/http"
	"time"
)

// byteRange is a part of a file: n octets from first on.
type byteRange struct{ first, n int64 }

type rangeVerdict uint8

const (
	rangeIgnored rangeVerdict = iota // none, malformed, or more than one part
	rangeGood
	rangeUnsatisfiable
)

// parseRange reads a Range field (RFC 9110 section 14.1.2) for a representation of
// size octets. Only a single range of bytes is taken.
func parseRange(field []byte, size int64) (byteRange, rangeVerdict) {
	const unit = "bytes="
	if len(field) < len(unit) || !bytes.EqualFold(field[:len(unit)], []byte(unit)) {
		return byteRange{}, rangeIgnored
	}
	from, to, found := bytes.Cut(bytes.Trim(field[len(unit):], " \t"), []byte("-"))
	if !found {
		return byteRange{}, rangeIgnored
	}
	first, okFirst := parseDigits(from)
	last, okLast := parseDigits(to)
	switch {
	case len(from) == 0 && okLast: // the last octets
		if last == 0 || size == 0 {
			return byteRange{}, rangeUnsatisfiable
		}
		n := min(last, size)
		return byteRange{size - n, n}, rangeGood
	case !okFirst || len(to) > 0 && (!okLast || last < first):
		return byteRange{}, rangeIgnored
	case first >= size:
		return byteRange{}, rangeUnsatisfiable
	case len(to) == 0 || last >= size:
		return byteRange{first, size - first}, rangeGood
	}
	return byteRange{first, last - first + 1}, rangeGood
}

// parseDigits is false for what is not digits alone. Too large a number is the
// largest.
func parseDigits(p []byte) (n int64, ok bool) {
	const most = 1<<63 - 1
	for _, c := range p {
		if c < '0' || c > '9' {
			return 0, false
		}
		if d := int64(c - '0'); n > (most-d)/10 {
			n = most
		} else {
			n = n*10 + d
		}
	}
	return n, len(p) > 0
}

// matchesTag reports whether a list of entity tags (RFC 9110 section 8.8.3) has
// etag, which is a strong one, or is "*". A weak tag of the list counts if weak.
func matchesTag(list []byte, etag []byte, weak bool) bool {
	if bytes.Equal(bytes.Trim(list, " \t"), []byte("*")) {
		return true
	}
	for {
		list = bytes.TrimLeft(list, " \t,")
		isWeak := bytes.HasPrefix(list, []byte("W/"))
		if isWeak {
			list = list[2:]
		}
		if len(list) == 0 || list[0] != '"' {
			return false
		}
		end := bytes.IndexByte(list[1:], '"') + 2
		if end < 2 {
			return false
		}
		if bytes.Equal(list[:end], etag) && (weak || !isWeak) {
			return true
		}
		list = list[end:]
	}
}

// parseDate reads an HTTP-date in any of its three forms (RFC 9110 section 5.6.7).
func parseDate(field []byte) (time.Time, bool) {
	t, err := http.ParseTime(string(field))
	return t, err == nil
}
