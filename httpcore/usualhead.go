//go:build linux

package httpcore

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"
)

// A usualHead remembers a response head that consists of the status line,
// Server, Date, Content-Type and Content-Length, as most do. A head that differs
// in its Content-Length alone is made from it, at a fraction of the price. It
// belongs to the loop's goroutine; the zero value is ready for use.
type usualHead struct {
	head        []byte // clean
	digits      int    // where in head the value of Content-Length begins
	length      int    // that value
	status      int
	contentType []byte
	until       int64 // on the loop's clock: then the Date may be another one
}

// usualFor is how long a Date may be late beside fasthttp's own.
const usualFor = int64(50 * time.Millisecond)

// A maskedWord is a word of a struct of which some octets count.
type maskedWord struct {
	at   uintptr
	mask uint64
}

// unusual says which octets of a fasthttp.ResponseHeader are zero if the head is
// a usual one: all but those of fields that are known to say nothing else. It is
// nil, and no head a usual one, if this release of fasthttp has other fields.
var unusual = func() (words []maskedWord) {
	var l layout
	var add func(t reflect.Type, at uintptr)
	add = func(t reflect.Type, at uintptr) {
		for i := range t.NumField() {
			f := t.Field(i)
			switch f.Name {
			case "header":
				add(f.Type, at+f.Offset)
			case "statusCode", "contentType", "contentLength", "contentLengthBytes", // compared, or set by us
				"serverDefaultLine",                             // config.serverLine
				"noDefaultContentType", "secureErrorLogMessage", // the server's own
				"bufK", "bufV", "mulHeader", "terminatorSearched": // scratch
			default:
				l.add(f.Type, at+f.Offset)
			}
		}
	}
	add(reflect.TypeFor[fasthttp.ResponseHeader](), 0)
	for _, list := range l.lists {
		l.slices = append(l.slices, list.at)
	}
	for _, at := range append(l.slices, l.octets...) {
		words = append(words, maskedWord{at + unsafe.Offsetof(sliceHeader{}.len), math.MaxUint64})
	}
	for _, at := range l.flags {
		var one [8]byte
		one[at%8] = math.MaxUint8
		mask := binary.NativeEndian.Uint64(one[:])
		if i := slices.IndexFunc(words, func(w maskedWord) bool { return w.at == at&^7 }); i >= 0 {
			words[i].mask |= mask
		} else {
			words = append(words, maskedWord{at &^ 7, mask})
		}
	}
	if len(l.words)+len(l.others) > 0 {
		return nil
	}
	return words
}()

// isUsual reports whether h makes a usual head, if there is a body.
func isUsual(h *fasthttp.ResponseHeader) bool {
	var set uint64
	for i := range unusual {
		w := &unusual[i]
		set |= *(*uint64)(unsafe.Add(unsafe.Pointer(h), w.at)) & w.mask
	}
	return set == 0 && unusual != nil
}

// append makes the head of a response with a body of n octets at the beginning of
// space, and returns its length: 0 if it is not the head that is remembered, or
// may not be any more at the time given, or if there is not enough space.
func (u *usualHead) append(space []byte, h *fasthttp.ResponseHeader, n int, now int64) int {
	if now >= u.until || h.StatusCode() != u.status || !bytes.Equal(h.ContentType(), u.contentType) || !isUsual(h) {
		return 0
	}
	if n != u.length {
		u.head = append(fasthttp.AppendUint(u.head[:u.digits], n), "\r\n\r\n"...)
		u.length = n
	}
	if len(u.head) > len(space) {
		return 0
	}
	return copy(space, u.head)
}

// keep remembers a clean head that fasthttp made of h, for a body of n octets.
func (u *usualHead) keep(head []byte, h *fasthttp.ResponseHeader, n int, now int64) {
	if !isUsual(h) {
		return
	}
	end := len(head) - len("\r\n\r\n")
	digits := bytes.LastIndexByte(head[:end], ' ') + 1
	if !bytes.HasSuffix(head[:digits], []byte("\r\nContent-Length: ")) {
		return
	}
	u.head, u.digits, u.length, u.status = append(u.head[:0], head...), digits, n, h.StatusCode()
	u.contentType = append(u.contentType[:0], h.ContentType()...)
	u.until = now + usualFor
}
