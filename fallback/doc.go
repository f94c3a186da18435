// Package fallback speaks the language of package ring over epoll, where
// io_uring cannot be had.
//
// It emulates completions, and pays as little for that as an epoll server can:
//
//   - A socket is registered once for its life, edge-triggered. The interest
//     stays armed; there is no epoll_ctl per operation.
//   - A send is tried at once. Only what the socket's buffer does not take
//     waits for the edge, and goes on there until all of it was taken.
//   - A receive is pulled: Wait learns that a socket is readable, Next makes
//     the recv(2) and returns its event, so that the receiver parses while the
//     bytes are in the cache. Buffers come from a stack: the one released last
//     is the next one used.
//   - A short read says that the socket is drained (epoll(7)), which saves the
//     recv that would answer EAGAIN.
//   - Wait asks epoll without blocking first, over a system call that does not
//     tell Go's scheduler, and sleeps only if nothing is there. Where that has
//     been in vain a few times it goes to sleep at once.
//
// A request is thus a recv, a send, and its share of an epoll_wait.
//
// Fairness: a socket that may have more goes to the end of the queue, and Next
// ends a turn after a bounded number of events, so that the loop looks at the
// other sockets again however fast one peer is.
//
// # Caveats
//
//   - All methods of an Epoll but Wake belong to one goroutine. It should be
//     locked to its thread, as a ring's has to be.
//   - Event.Data is valid until it is given back with Release, exactly once.
//   - A socket belongs to the driver from its first command until Close or
//     Detach: closing it elsewhere leaves the driver with a stale state.
//   - On a unix socket, a message with file descriptors attached ends a read
//     early. What follows it is seen with the next message.
//
// Against the contract: a second receive or send on a socket while one is in
// flight is refused with EALREADY; releasing a buffer that is not in use panics,
// for the buffer may hold another connection's bytes by then.
package fallback
