// Package httpcore serves HTTP/1.1 to fasthttp handlers from a completion
// loop: io_uring where the kernel has it and allows it, epoll elsewhere, with
// the same behaviour.
//
// An application built on fasthttp changes one line: where it called
//
//	server.ListenAndServe(addr)
//
// it calls
//
//	httpcore.New(server).ListenAndServe(addr)
//
// Requests are parsed by fasthttp's own parser and handled by the same
// [fasthttp.RequestHandler]; the fields of [fasthttp.Server] are the
// configuration. What differs is who waits: an idle connection costs a slot of
// a few hundred bytes, no goroutine and no buffer.
//
// # Dispatch
//
// With [Adaptive], the default, handlers may block. They run on the loop as long
// as their route (the method, and the path with runs of digits taken as equal)
// answers within about 100 µs, and on goroutines else. It is learnt from every
// answer: one slow one a second is forgiven, two are forgotten after some thousand
// quick ones, or a second. A handler that blocks on the loop all the same loses it,
// after one to two milliseconds, to another goroutine, which serves the other
// connections. When a second one does so meanwhile, their route goes to goroutines
// at once.
//
// With [Pooled] all handlers run on goroutines. With [Inline] all of them run on
// the loop, which is right for handlers that never wait only: while one runs, the
// other connections of its loop do not.
//
// [Suspend] lets a handler return at once and answer later, from any goroutine;
// [After] and [Every] are its timers.
//
// # Overload
//
// A request for which no goroutine is free waits, at the price of its own memory
// and no more: what its connection sends behind it stays in the socket. Memory is
// bounded by the connections, and those by fasthttp.Server.Concurrency.
// [WithMaxHandlers] and [WithMaxWaiting] set the bounds lower, and choose 503 for
// those who would wait.
//
// # Files
//
// [FileServer] and [Files] serve the files below a directory from the loop itself,
// by operations of the ring, or with a few goroutines for what the disk has to be
// waited for where there is none.
//
// # TLS and other connections
//
// TLS (ListenAndServeTLS and its kin), in-memory listeners and ServeConn are the
// slow lane: the same HTTP on the same kind of loop, but over net.Conn, with a
// goroutine for each connection that is being received from. An idle TLS
// connection costs about 25 KiB: that goroutine, and crypto/tls's state and
// buffers. Up to 1024 handshakes run at a time; when all those places are taken,
// one that has waited for its client for more than a second gives way.
//
// Linux can encrypt in the socket (kTLS, CONFIG_TLS), which would bring TLS
// connections onto the loop; httpcore does not use it. It would take the traffic
// keys after the handshake, which crypto/tls tells only through KeyLogWriter, as
// secrets to be expanded (RFC 8446 section 7.3); setsockopt(TCP_ULP, "tls"), which
// fails with ENOENT where the kernel lacks it, then TLS_TX and TLS_RX with key
// and sequence number; and a receive that carries control messages, for alerts,
// tickets and key updates arrive by them (recvmsg, which provided buffers allow).
//
// # What is refused
//
// A request is checked on our side of the parser, so that no two readers of
// one byte stream can disagree on where it ends (RFC 9112 section 11.2): a
// line ends with CRLF, nothing else; no folded fields; field names are tokens;
// Host follows the grammar of RFC 3986; either Content-Length or a single
// "Transfer-Encoding: chunked", never both. A refusal is answered (400, 413,
// 417, 431, 501, 505) and closes the connection.
//
// # Caveats
//
//   - A RequestCtx and everything it hands out is valid until the handler
//     returns, as with fasthttp.
//   - A handler that calls runtime.Goexit gets 500 for its client with [Adaptive]
//     and [Pooled]; with [Inline] it takes the loop along.
//   - A panic in a fasthttp.StreamWriter is outside every recover but its own:
//     fasthttp runs it on a goroutine of its own.
//   - On systems other than Linux requests are served by fasthttp's own server,
//     and Driver says "net": for development, not for production.
package httpcore
