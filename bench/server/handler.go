package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/httpcore"
)

const (
	serverName = "ringcore" // as long as the names of the peers, so that responses weigh the same

	maxBytes   = 64 << 20 // octets, the most that /bytes answers
	maxSlow    = 60_000   // ms, the longest that /slow waits
	blockBytes = 64 << 10 // octets, what a response holds in memory at once

	textType   = "text/plain"
	binaryType = "application/octet-stream"
)

var (
	hello = []byte("Hello, World!")

	// block is what /bytes and /10k answer, over and over: octet i of a
	// response is "0123456789abcdef"[i%16], so that a client can tell a
	// misplaced piece. Nobody writes to it.
	block = bytes.Repeat([]byte("0123456789abcdef"), blockBytes/16)
)

// newHandler returns the bench server's routes. Paths that are none of them
// go to files, nil for none.
func newHandler(files fasthttp.RequestHandler) fasthttp.RequestHandler {
	if files == nil {
		files = notFound
	}
	return func(ctx *fasthttp.RequestCtx) {
		switch string(ctx.Path()) { // no allocation: compared in place
		case "/", "/plaintext":
			ctx.SetContentType(textType)
			ctx.Response.SetBodyRaw(hello)
		case "/json":
			sayJSON(ctx, message{"Hello, World!"})
		case "/10k":
			octets(ctx, 10<<10)
		case "/bytes":
			if n, ok := number(ctx, "n", 1024, 0, maxBytes); ok {
				octets(ctx, n)
			}
		case "/echo":
			echo(ctx)
		case "/slow":
			if ms, ok := number(ctx, "ms", 50, 0, maxSlow); ok {
				time.Sleep(time.Duration(ms) * time.Millisecond)
				say(ctx, fasthttp.StatusOK, fmt.Sprintf("waited %d ms", ms))
			}
		case "/status":
			if code, ok := number(ctx, "code", fasthttp.StatusOK, 200, 599); ok {
				say(ctx, code, fmt.Sprintf("%d %s", code, fasthttp.StatusMessage(code)))
			}
		default:
			files(ctx)
		}
	}
}

// newFiles returns a handler for the files under root at their own path. It
// lists no folder and leaves root neither by ".." nor by a symbolic link.
func newFiles(root string) fasthttp.RequestHandler {
	return (&httpcore.Files{Root: root, PathNotFound: notFound}).Handler()
}

func notFound(ctx *fasthttp.RequestCtx) {
	say(ctx, fasthttp.StatusNotFound, "not found")
}

func notAllowed(ctx *fasthttp.RequestCtx, allow string) {
	ctx.Response.Header.Set(fasthttp.HeaderAllow, allow)
	say(ctx, fasthttp.StatusMethodNotAllowed, "method not allowed: want "+allow)
}

// say answers one line of text.
func say(ctx *fasthttp.RequestCtx, code int, line string) {
	ctx.SetStatusCode(code)
	ctx.SetContentType(textType)
	ctx.SetBodyString(line + "\n")
}

type message struct {
	Message string `json:"message"`
}

// sayJSON answers v as JSON, serialised for each request as TechEmpower's rules
// want it.
func sayJSON(ctx *fasthttp.RequestCtx, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		say(ctx, fasthttp.StatusInternalServerError, err.Error())
		return
	}
	ctx.SetContentType("application/json")
	ctx.Response.SetBodyRaw(body)
}

// number returns the value of a query argument, def if it is not there. A
// value that is no whole number from least to most is answered with 400.
func number(ctx *fasthttp.RequestCtx, key string, def, least, most int) (int, bool) {
	args := ctx.QueryArgs()
	if !args.Has(key) {
		return def, true
	}
	n, err := fasthttp.ParseUint(args.Peek(key))
	if err != nil || n < least || n > most {
		say(ctx, fasthttp.StatusBadRequest,
			fmt.Sprintf("bad %s: want a whole number from %d to %d", key, least, most))
		return 0, false
	}
	return n, true
}

// echo answers a POST with its own body and content type.
func echo(ctx *fasthttp.RequestCtx) {
	if !ctx.IsPost() {
		notAllowed(ctx, "POST")
		return
	}
	if kind := ctx.Request.Header.ContentType(); len(kind) > 0 {
		ctx.SetContentTypeBytes(kind)
	} else {
		ctx.SetContentType(binaryType)
	}
	ctx.SetBody(ctx.PostBody())
}

// octets answers n of them. Many are a stream, so that a response never holds
// more than a block however long it is.
func octets(ctx *fasthttp.RequestCtx, n int) {
	ctx.SetContentType(binaryType)
	if n <= len(block) {
		ctx.Response.SetBodyRaw(block[:n])
		return
	}
	ctx.SetBodyStream(&blockReader{left: n}, n)
}

// blockReader reads left octets of block, repeated.
type blockReader struct{ left, at int }

func (r *blockReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.left)], block[r.at:])
	r.left -= n
	r.at = (r.at + n) % len(block)
	return n, nil
}
