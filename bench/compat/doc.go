// Package compat has tests with other people's packages: what they promise, or
// expect, of ours, and applications as they are written for fasthttp (Fiber, a
// router, fasthttp's own handlers, net/http through the adaptor, a reverse
// proxy, WebSockets), which run unchanged on httpcore. It is a module of its
// own, so that the library's does not grow.
package compat
