package httpcore

import (
	"fmt"
	"net"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"
)

// fasthttp's own server sets some fields of a RequestCtx for which there is no
// setter: the identity of the connection, the server behind Done and Logger,
// the hijack handler. For RequestHandlers to run unchanged they have to be set
// here too, so they are found by name and type, once, when the program starts.
// A release of fasthttp that renames one makes Serve fail with a clear line,
// and nothing else.

// field is the place of a field of type T in a struct.
type field[T any] struct{ offset uintptr }

func (f field[T]) of(p unsafe.Pointer) *T { return (*T)(unsafe.Add(p, f.offset)) }

var inside struct {
	// of fasthttp.RequestCtx
	server           field[*fasthttp.Server]
	conn             field[net.Conn]
	connID           field[uint64]
	connRequestNum   field[uint64]
	connTime         field[time.Time]
	time             field[time.Time]
	remoteAddr       field[net.Addr]
	hijackHandler    field[fasthttp.HijackHandler]
	hijackNoResponse field[bool]
	formValueFunc    field[fasthttp.FormValueFunc]
	uriParseErr      field[error]
	noDefaultDate    field[bool]
	isTLS            field[bool]
	secure           [4]field[bool] // secureErrorLogMessage
	userValues       field[int]     // how many there are
	// of fasthttp.Response
	serverLine field[[]byte]
	serverSet  field[bool]
	// of fasthttp.Server
	done              field[atomic.Pointer[chan struct{}]]
	concurrencyCh     field[chan struct{}]
	concurrencyChOnce field[sync.Once]
	nextProtos        field[map[string]fasthttp.ServeHandler]
}

// errInside says what this release of fasthttp lacks, nil when all is there.
var errInside = findInside()

func findInside() error {
	f := finder{}
	ctx := reflect.TypeFor[fasthttp.RequestCtx]()
	srv := reflect.TypeFor[fasthttp.Server]()
	find(&f, &inside.server, ctx, "s")
	find(&f, &inside.conn, ctx, "c")
	find(&f, &inside.connID, ctx, "connID")
	find(&f, &inside.connRequestNum, ctx, "connRequestNum")
	find(&f, &inside.connTime, ctx, "connTime")
	find(&f, &inside.time, ctx, "time")
	find(&f, &inside.remoteAddr, ctx, "remoteAddr")
	find(&f, &inside.hijackHandler, ctx, "hijackHandler")
	find(&f, &inside.hijackNoResponse, ctx, "hijackNoResponse")
	find(&f, &inside.formValueFunc, ctx, "formValueFunc")
	find(&f, &inside.uriParseErr, ctx, "Request", "uriParseErr")
	findLen(&f, &inside.userValues, ctx, "Request", "userValues")
	find(&f, &inside.noDefaultDate, ctx, "Response", "Header", "noDefaultDate")
	find(&f, &inside.done, srv, "done")
	find(&f, &inside.concurrencyCh, srv, "concurrencyCh")
	find(&f, &inside.concurrencyChOnce, srv, "concurrencyChOnce")
	find(&f, &inside.nextProtos, srv, "nextProtos")
	resp := reflect.TypeFor[fasthttp.Response]()
	find(&f, &inside.serverLine, resp, "Header", "serverDefaultLine")
	find(&f, &inside.serverSet, resp, "Header", "serverSet")
	find(&f, &inside.isTLS, ctx, "Request", "isTLS")
	for i, path := range [][]string{
		{"Request"}, {"Response"}, {"Request", "Header", "header"}, {"Response", "Header", "header"},
	} {
		find(&f, &inside.secure[i], ctx, append(path, "secureErrorLogMessage")...)
	}
	return f.err
}

type finder struct{ err error }

// find sets place to the field of type T at path in a t.
func find[T any](f *finder, place *field[T], t reflect.Type, path ...string) {
	at := f.walk(&place.offset, t, path)
	if want := reflect.TypeFor[T](); at != nil && at != want {
		f.err = fmt.Errorf("httpcore: in this release of fasthttp %v.%v is a %v, not a %v: use v1.77.0, or a newer ringcore", t, path, at, want)
	}
}

// findLen sets place to the length of the slice at path in a t.
func findLen(f *finder, place *field[int], t reflect.Type, path ...string) {
	at := f.walk(&place.offset, t, path)
	if place.offset += unsafe.Sizeof(uintptr(0)); at != nil && at.Kind() != reflect.Slice {
		f.err = fmt.Errorf("httpcore: in this release of fasthttp %v.%v is a %v, not a slice: use v1.77.0, or a newer ringcore", t, path, at)
	}
}

// walk adds the offset of what is at path in a t, and returns its type.
func (f *finder) walk(offset *uintptr, t reflect.Type, path []string) reflect.Type {
	at := t
	for _, name := range path {
		sf, ok := at.FieldByName(name)
		if !ok {
			f.err = fmt.Errorf("httpcore: this release of fasthttp has no field %v.%v: use v1.77.0, or a newer ringcore", t, name)
			return nil
		}
		*offset += sf.Offset
		at = sf.Type
	}
	return at
}
