//go:build linux

package httpcore

import (
	"bytes"
	"reflect"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"
)

// A usualHead remembers a response head that consists of the status line,
// Server, Date, Content-Type and Content-Length, as most do. A head that differs
// in its Content-Length alone is made from it, at a third of the price. It
// belongs to the loop's goroutine; the zero value is ready for use.
type usualHead struct {
	prefix      []byte // clean, up to the value of Content-Length
	status      int
	contentType []byte
	until       int64 // on the loop's clock: then the Date may be another one
}

// usualFor is how long a Date may be late beside fasthttp's own.
const usualFor = int64(50 * time.Millisecond)

// unusual lists the fields of a fasthttp.ResponseHeader that are zero, or empty,
// if the head is a usual one: all but those that are known to say nothing else.
var unusual = func() (l layout) {
	t := reflect.TypeFor[fasthttp.ResponseHeader]()
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
	add(t, 0)
	for _, list := range l.lists {
		l.slices = append(l.slices, list.at)
	}
	l.slices = append(l.slices, l.octets...)
	return l
}()

// isUsual reports whether h makes a usual head, with a body.
func isUsual(h *fasthttp.ResponseHeader) bool {
	base := unsafe.Pointer(h)
	for _, at := range unusual.slices {
		if (*sliceHeader)(unsafe.Add(base, at)).len != 0 {
			return false
		}
	}
	for _, at := range unusual.flags {
		if *(*uint8)(unsafe.Add(base, at)) != 0 {
			return false
		}
	}
	return len(unusual.words)+len(unusual.others) == 0
}

// append makes the head of resp, with a body of n octets, at the beginning of
// space, and returns its length: 0 if it is not the head that is remembered, or
// may not be any more at the time given.
func (u *usualHead) append(space []byte, h *fasthttp.ResponseHeader, n int, now int64) int {
	const tail = 20 + len("\r\n\r\n") // at most
	if now >= u.until || h.StatusCode() != u.status || !bytes.Equal(h.ContentType(), u.contentType) ||
		len(u.prefix)+tail > len(space) || !isUsual(h) {
		return 0
	}
	head := fasthttp.AppendUint(append(space[:0], u.prefix...), n)
	return len(append(head, "\r\n\r\n"...))
}

// keep remembers a clean head that fasthttp made of h, for a body.
func (u *usualHead) keep(head []byte, h *fasthttp.ResponseHeader, now int64) {
	if !isUsual(h) {
		return
	}
	end := len(head) - len("\r\n\r\n")
	digits := bytes.LastIndexByte(head[:end], ' ') + 1
	if !bytes.HasSuffix(head[:digits], []byte("\r\nContent-Length: ")) {
		return
	}
	u.prefix, u.status = append(u.prefix[:0], head[:digits]...), h.StatusCode()
	u.contentType = append(u.contentType[:0], h.ContentType()...)
	u.until = now + usualFor
}
