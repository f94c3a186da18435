package main

import (
	"context"
	"strconv"

	"github.com/cloudwego/hertz/pkg/app"
	"github.com/cloudwego/hertz/pkg/app/server"
	"github.com/cloudwego/hertz/pkg/common/hlog"
)

// serveHertz serves by hertz with its default transport (netpoll).
func serveHertz(c config) error {
	hlog.SetLevel(hlog.LevelError)
	h := server.New(server.WithHostPorts(c.addr), server.WithDisablePrintRoute(true))
	h.Name = "hertz"
	fixed := func(kind string, body []byte) app.HandlerFunc {
		return func(_ context.Context, ctx *app.RequestContext) { ctx.Data(200, kind, body) }
	}
	h.GET("/", fixed(textType, hello))
	h.GET("/plaintext", fixed(textType, hello))
	h.GET("/10k", fixed(binaryType, tenK))
	h.POST("/echo", func(_ context.Context, ctx *app.RequestContext) {
		ctx.Data(200, string(ctx.Request.Header.ContentType()), ctx.Request.Body())
	})
	h.GET("/slow", func(_ context.Context, ctx *app.RequestContext) {
		ms, ok := slowFor(strconv.Atoi(ctx.Query("ms")))
		if !ok {
			ctx.Data(400, textType, []byte("bad ms\n"))
			return
		}
		ctx.Data(200, textType, []byte(wait(ms)))
	})
	if c.root != "" {
		h.StaticFS("/", &app.FS{Root: c.root, AcceptByteRange: true})
	}
	h.NoRoute(func(_ context.Context, ctx *app.RequestContext) { ctx.Data(404, textType, []byte(notFound)) })
	return h.Run()
}
