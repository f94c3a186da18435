// Package gonet speaks the language of completions over Go's own net.Conn and
// net.Listener: for connections that are no sockets of the kernel's (TLS, an
// in-memory listener of a test), and for systems without epoll.
//
// It is the slow lane. A goroutine waits in Read for each connection that is
// armed, and each Send has one while it lasts; what they return is queued as
// events for the loop. Where the other drivers carry file descriptors, this one
// carries numbers of its own, which [Driver.Adopt] gives out.
//
// # Caveats
//
//   - A receive is a stream of one: every event of it has More false.
//   - Connect is not supported: dial, and Adopt the connection.
//   - The bytes given to Send are passed to Write of the net.Conn, so they may
//     lie anywhere.
package gonet
