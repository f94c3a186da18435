// Package ring is the language of completions, and io_uring speaking it.
//
// The vocabulary is small. Commands: [Driver.Accept], [Driver.Receive],
// [Driver.Send], [Driver.Cancel], [Driver.Close], [Driver.Wake],
// [Driver.Wait]. What comes back is an [Event] for each completion, taken one
// at a time with [Driver.Next]. An operation is a stream of completions: every
// event but the last carries More, so that multishot is the normal case and a
// single-shot operation is a stream of one.
//
// The package knows nothing of connections and nothing of HTTP. It owns the
// shared memory of the rings, the provided buffers, and the knowledge of what
// this kernel really does (found by doing, never by version number).
//
// # Caveats
//
//   - All methods of a Driver but Wake belong to the goroutine that opened it,
//     which must be locked to its OS thread for the driver's life: rings with
//     IORING_SETUP_SINGLE_ISSUER accept system calls from one thread only.
//   - Event.Data is the driver's memory. It is valid until it is handed back
//     with Driver.Release, and must be handed back exactly once.
//   - The bytes given to Driver.Send must lie outside the Go heap and must not
//     change until the send's completion has been taken.
package ring
