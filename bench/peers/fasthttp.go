package main

import "github.com/valyala/fasthttp"

// serveFasthttp serves by fasthttp with the handler that ringcore's bench
// server uses for these routes.
func serveFasthttp(c config) error {
	files := func(ctx *fasthttp.RequestCtx) { say(ctx, fasthttp.StatusNotFound, notFound) }
	if c.root != "" {
		missing := files
		files = (&fasthttp.FS{Root: c.root, AcceptByteRange: true, PathNotFound: missing}).NewRequestHandler()
	}
	server := &fasthttp.Server{Name: "fasthttp", Handler: func(ctx *fasthttp.RequestCtx) {
		switch string(ctx.Path()) {
		case "/", "/plaintext":
			ctx.SetContentType(textType)
			ctx.Response.SetBodyRaw(hello)
		case "/10k":
			ctx.SetContentType(binaryType)
			ctx.Response.SetBodyRaw(tenK)
		case "/echo":
			ctx.SetContentTypeBytes(ctx.Request.Header.ContentType())
			ctx.SetBody(ctx.PostBody())
		case "/slow":
			ms, ok := slowFor(ctx.QueryArgs().GetUint("ms"))
			if !ok {
				say(ctx, fasthttp.StatusBadRequest, "bad ms\n")
				return
			}
			say(ctx, fasthttp.StatusOK, wait(ms))
		default:
			files(ctx)
		}
	}}
	return server.ListenAndServe(c.addr)
}

func say(ctx *fasthttp.RequestCtx, code int, text string) {
	ctx.SetStatusCode(code)
	ctx.SetContentType(textType)
	ctx.SetBodyString(text)
}
