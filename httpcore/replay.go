//go:build linux

package httpcore

import (
	"reflect"
	"slices"
	"unsafe"

	"github.com/valyala/fasthttp"
)

// A recording is what parsing a head made of a fasthttp.Request: the value of
// every field that is not zero. To replay it into a Request that was reset costs
// a quarter of parsing the same head again.
//
// It knows no field of fasthttp by name, only kinds: octets, numbers, flags, and
// lists of these. If parsing sets anything else (a pointer, an interface) there
// is no recording. It belongs to the loop's goroutine.
type recording struct {
	octets recordedOctets
	words  []recordedWord
	flags  []recordedFlag
	lists  []recordedList
}

// recordedOctets are the fields of a struct, or of a list's elements, that are
// []byte. Most are short: those are copied as a whole chunk, since a call for each
// would cost more than the copy.
type recordedOctets struct {
	short []shortOctets
	long  []longOctets
}

type chunk [32]byte

type shortOctets struct {
	at     uintptr // offset in the Request, or in the list's array
	n      int
	octets chunk
}

type longOctets struct {
	at     uintptr
	octets []byte
}

type recordedWord struct {
	at    uintptr
	value uint64
}

type recordedFlag struct {
	at    uintptr
	value uint8
}

// recordedList is a list of n elements, with all their fields.
type recordedList struct {
	at     uintptr
	n      int
	octets recordedOctets
	flags  []recordedFlag
}

// layout says where in a struct there is what.
type layout struct {
	octets []uintptr    // []byte
	words  []uintptr    // eight octets without a pointer
	flags  []uintptr    // one octet
	lists  []listLayout // slices of structs of []byte and flags
	slices []uintptr    // any other slice
	others []span       // anything else
}

type listLayout struct {
	at, size      uintptr // of the slice in the struct; of an element
	octets, flags []uintptr
}

type span struct{ at, size uintptr }

// sliceHeader is how a slice lies in memory.
type sliceHeader struct {
	array    unsafe.Pointer
	len, cap int
}

var requestLayout = func() (l layout) {
	l.add(reflect.TypeFor[fasthttp.Request](), 0)
	return l
}()

// add takes up the fields of a t that lies at the offset given.
func (l *layout) add(t reflect.Type, at uintptr) {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			l.add(f.Type, at+f.Offset)
		}
	case reflect.Bool, reflect.Int8, reflect.Uint8:
		l.flags = append(l.flags, at)
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64:
		if t.Size() == 8 {
			l.words = append(l.words, at)
		} else {
			l.others = append(l.others, span{at, t.Size()})
		}
	case reflect.Slice:
		var e layout
		e.add(t.Elem(), 0)
		switch {
		case t == reflect.TypeFor[[]byte]():
			l.octets = append(l.octets, at)
		case t.Elem().Kind() == reflect.Struct && len(e.words)+len(e.lists)+len(e.slices)+len(e.others) == 0:
			l.lists = append(l.lists, listLayout{at, t.Elem().Size(), e.octets, e.flags})
		default:
			l.slices = append(l.slices, at)
		}
	default:
		l.others = append(l.others, span{at, t.Size()})
	}
}

// record makes r a recording of req, which has been parsed and not been used
// otherwise. It is false if req holds what cannot be recorded.
func (r *recording) record(req *fasthttp.Request) bool {
	base, l := unsafe.Pointer(req), &requestLayout
	for _, o := range l.others {
		for _, c := range unsafe.Slice((*byte)(unsafe.Add(base, o.at)), o.size) {
			if c != 0 {
				return false
			}
		}
	}
	for _, at := range l.slices {
		if (*sliceHeader)(unsafe.Add(base, at)).len > 0 {
			return false
		}
	}
	r.octets.clear()
	r.words, r.flags = r.words[:0], r.flags[:0]
	for _, at := range l.octets {
		if b := *(*[]byte)(unsafe.Add(base, at)); len(b) > 0 {
			r.octets.add(at, b)
		}
	}
	for _, at := range l.words {
		if v := *(*uint64)(unsafe.Add(base, at)); v != 0 {
			r.words = append(r.words, recordedWord{at, v})
		}
	}
	for _, at := range l.flags {
		if v := *(*uint8)(unsafe.Add(base, at)); v != 0 {
			r.flags = append(r.flags, recordedFlag{at, v})
		}
	}
	used := 0
	for i := range l.lists {
		ll := &l.lists[i]
		h := (*sliceHeader)(unsafe.Add(base, ll.at))
		if h.len == 0 {
			continue
		}
		if used == len(r.lists) {
			r.lists = append(r.lists, recordedList{})
		}
		r.lists[used].record(ll, h)
		used++
	}
	r.lists = r.lists[:used]
	return true
}

func (r *recordedOctets) clear() { r.short, r.long = r.short[:0], r.long[:0] }

// add records the field at an offset.
func (r *recordedOctets) add(at uintptr, b []byte) {
	if len(b) > len(chunk{}) {
		r.long = slices.Grow(r.long, 1)[:len(r.long)+1] // what was there has room for octets
		o := &r.long[len(r.long)-1]
		o.at, o.octets = at, append(o.octets[:0], b...)
		return
	}
	o := shortOctets{at: at, n: len(b)}
	copy(o.octets[:], b)
	r.short = append(r.short, o)
}

func (to *recordedList) record(ll *listLayout, h *sliceHeader) {
	to.at, to.n, to.flags = ll.at, h.len, to.flags[:0]
	to.octets.clear()
	for i := range uintptr(h.len) {
		for _, f := range ll.octets {
			at := i*ll.size + f
			to.octets.add(at, *(*[]byte)(unsafe.Add(h.array, at)))
		}
		for _, f := range ll.flags { // zero ones too: elements are reused, not cleared
			at := i*ll.size + f
			to.flags = append(to.flags, recordedFlag{at, *(*uint8)(unsafe.Add(h.array, at))})
		}
	}
}

// replay makes req, which must have been reset, what parsing would make of it.
// It is false, and req as it was, if one of req's lists is too short for it yet.
func (r *recording) replay(req *fasthttp.Request) bool {
	base := unsafe.Pointer(req)
	for i := range r.lists {
		if l := &r.lists[i]; (*sliceHeader)(unsafe.Add(base, l.at)).cap < l.n {
			return false
		}
	}
	r.octets.put(base)
	for _, w := range r.words {
		*(*uint64)(unsafe.Add(base, w.at)) = w.value
	}
	for _, f := range r.flags {
		*(*uint8)(unsafe.Add(base, f.at)) = f.value
	}
	for i := range r.lists {
		l := &r.lists[i]
		h := (*sliceHeader)(unsafe.Add(base, l.at))
		h.len = l.n
		l.octets.put(h.array)
		for _, f := range l.flags {
			*(*uint8)(unsafe.Add(h.array, f.at)) = f.value
		}
	}
	return true
}

// put makes the fields what they were. What lies behind a field's length in its
// array means nothing.
func (r *recordedOctets) put(base unsafe.Pointer) {
	for i := range r.short {
		o := &r.short[i]
		h := (*sliceHeader)(unsafe.Add(base, o.at))
		if h.cap < len(chunk{}) {
			*(*[]byte)(unsafe.Pointer(h)) = make([]byte, len(chunk{}))
		}
		*(*chunk)(h.array) = o.octets
		h.len = o.n
	}
	for i := range r.long {
		o := &r.long[i]
		to := (*[]byte)(unsafe.Add(base, o.at))
		*to = append((*to)[:0], o.octets...)
	}
}
