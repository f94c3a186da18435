//go:build !linux

package httpcore

import "github.com/valyala/fasthttp"

func (f *Files) serve(*fasthttp.RequestCtx) bool { return false }
