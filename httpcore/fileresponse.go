//go:build linux

package httpcore

import (
	"bytes"
	"net/url"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// Header names in the form that fasthttp takes without looking at them again.
var (
	nameETag            = []byte(fasthttp.HeaderETag)
	nameLastModified    = []byte(fasthttp.HeaderLastModified)
	nameAcceptRanges    = []byte(fasthttp.HeaderAcceptRanges)
	nameContentRange    = []byte(fasthttp.HeaderContentRange)
	nameContentEncoding = []byte(fasthttp.HeaderContentEncoding)
	unitBytes           = []byte("bytes")
)

// answer makes the response to x from e's variant in the coding k.
func (c *fileCache) answer(e *fileEntry, k coding, x *exchange) {
	v := &e.variants[k]
	resp := &x.ctx.Response
	h := &resp.Header
	resp.ResetBody()
	h.SetCanonical(nameETag, v.etag)
	h.SetCanonical(nameLastModified, v.modified)
	if c.files.Precompressed {
		h.Add(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
	}
	switch v.conditions(x) {
	case fasthttp.StatusPreconditionFailed:
		x.ctx.Error(fasthttp.StatusMessage(fasthttp.StatusPreconditionFailed), fasthttp.StatusPreconditionFailed)
		return
	case fasthttp.StatusNotModified:
		resp.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	size := v.file.Size()
	part, verdict := byteRange{0, size}, rangeIgnored
	if field := x.ctx.Request.Header.PeekBytes(nameRange); len(field) > 0 && x.ctx.IsGet() && v.ifRange(x) {
		if r, what := parseRange(field, size); what != rangeIgnored {
			part, verdict = r, what
		}
	}
	h.SetCanonical(nameAcceptRanges, unitBytes)
	switch verdict {
	case rangeUnsatisfiable:
		x.ctx.Error(fasthttp.StatusMessage(fasthttp.StatusRequestedRangeNotSatisfiable),
			fasthttp.StatusRequestedRangeNotSatisfiable)
		h.SetCanonical(nameContentRange, strconv.AppendInt([]byte("bytes */"), size, 10))
		return
	case rangeGood:
		resp.SetStatusCode(fasthttp.StatusPartialContent)
		b := strconv.AppendInt([]byte("bytes "), part.first, 10)
		b = strconv.AppendInt(append(b, '-'), part.first+part.n-1, 10)
		h.SetCanonical(nameContentRange, strconv.AppendInt(append(b, '/'), size, 10))
	default:
		resp.SetStatusCode(fasthttp.StatusOK)
	}
	h.SetContentType(e.ctype)
	if k != codingNone {
		h.SetCanonical(nameContentEncoding, []byte(codingNames[k]))
	}
	h.SetContentLength(int(part.n))
	if x.ctx.IsHead() || part.n == 0 {
		return
	}
	a := &x.file
	a.body, a.at, a.size = v.file, part.first, part.n
	a.body.Retain()
}

var (
	nameRange         = []byte(fasthttp.HeaderRange)
	nameIfRange       = []byte(fasthttp.HeaderIfRange)
	nameIfMatch       = []byte(fasthttp.HeaderIfMatch)
	nameIfNoneMatch   = []byte(fasthttp.HeaderIfNoneMatch)
	nameIfModified    = []byte(fasthttp.HeaderIfModifiedSince)
	nameIfUnmodified  = []byte(fasthttp.HeaderIfUnmodifiedSince)
	nameAcceptsCoding = []byte(fasthttp.HeaderAcceptEncoding)
)

// acceptEncoding returns x's Accept-Encoding, in one piece.
func acceptEncoding(x *exchange) []byte {
	all := x.ctx.Request.Header.PeekAll(fasthttp.HeaderAcceptEncoding)
	if len(all) <= 1 {
		return x.ctx.Request.Header.PeekBytes(nameAcceptsCoding)
	}
	var field []byte
	for _, p := range all {
		field = append(append(field, p...), ',')
	}
	return field
}

// conditions evaluates the preconditions of x in the order of RFC 9110 section
// 13.2.2, and returns the status that they call for, 0 for none.
func (v *variant) conditions(x *exchange) int {
	h := &x.ctx.Request.Header
	modified := v.modTime.Truncate(time.Second) // a date has no more
	if field := h.PeekBytes(nameIfMatch); len(field) > 0 {
		if !matchesTag(field, v.etag, false) {
			return fasthttp.StatusPreconditionFailed
		}
	} else if field := h.PeekBytes(nameIfUnmodified); len(field) > 0 {
		if t, ok := parseDate(field); ok && modified.After(t) {
			return fasthttp.StatusPreconditionFailed
		}
	}
	if field := h.PeekBytes(nameIfNoneMatch); len(field) > 0 {
		if matchesTag(field, v.etag, true) {
			return fasthttp.StatusNotModified
		}
	} else if field := h.PeekBytes(nameIfModified); len(field) > 0 {
		if t, ok := parseDate(field); ok && !modified.After(t) {
			return fasthttp.StatusNotModified
		}
	}
	return 0
}

// ifRange reports whether the Range of x is to be honoured: always, unless If-Range
// names another representation (RFC 9110 section 13.1.5).
func (v *variant) ifRange(x *exchange) bool {
	field := x.ctx.Request.Header.PeekBytes(nameIfRange)
	if len(field) == 0 {
		return true
	}
	if field[0] == '"' || field[0] == 'W' {
		return bytes.Equal(field, v.etag)
	}
	// A date is good enough only if the file cannot have changed again within it.
	t, ok := parseDate(field)
	return ok && t.Equal(v.modTime.Truncate(time.Second)) && x.p.turnTime().Sub(v.modTime) > 2*time.Second
}

// atDirectory answers x whose path is a directory: by the way to its index.
func (c *fileCache) atDirectory(x *exchange) (done bool) {
	a := &x.file
	if n := len(a.path); n == 0 || a.path[n-1] == '/' {
		// "." itself, for want of index names; or an index that is a directory.
		if a.index++; a.index < len(c.files.IndexNames) {
			return false
		}
		c.notFound(x)
		return true
	}
	uri := x.ctx.URI()
	to := url.URL{Path: string(uri.Path()) + "/"} // begins with one slash: fasthttp has seen to that
	location := to.EscapedPath()
	if q := uri.QueryString(); len(q) > 0 {
		location += "?" + string(q)
	}
	x.ctx.Response.ResetBody()
	x.ctx.Response.SetStatusCode(fasthttp.StatusMovedPermanently)
	x.ctx.Response.Header.Set(fasthttp.HeaderLocation, location)
	return true
}
