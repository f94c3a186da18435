// Package conn serves connections over completions: slots, their state
// machine, buffers, timeouts, backpressure and the wake-up from other
// goroutines. It speaks to the kernel through one interface, [ring.Driver],
// behind which io_uring or epoll stands, and knows nothing of HTTP.
//
// An [Engine] runs one or more loops. A [Loop] is one goroutine on its own
// thread that owns its driver, its connections, its timers and its buffers;
// loops share nothing while they serve. A protocol is a [Handler]: it is told
// of opened connections, of data, of room to write and of the end, always on
// the loop's goroutine, and must not block there. What comes from other
// goroutines goes through [Loop.Post].
//
// # Caveats
//
//   - The slice that Handler.Data gets is valid until Data returns; copy what
//     has to stay, or leave it unconsumed and get it again; or, until the end of the
//     turn, have it stay where it is (Conn.HoldInput).
//   - The slice that Conn.Reserve returns is valid until the next call of a
//     method of that Conn.
//   - A *Conn is valid from Opened until Closed returns; afterwards its slot
//     is used by another connection. Elsewhere keep a [Ref], which notices.
//   - All methods of Conn and Loop belong to the loop's goroutine, unless
//     their documentation says otherwise.
package conn
