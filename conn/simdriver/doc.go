// Package simdriver is a ring.Driver without a kernel, for tests: a simulated
// world of sockets and peers in virtual time, which follows from a seed alone.
//
// It misbehaves as much as the contract of ring.Driver allows (short sends,
// receives that end early, buffer exhaustion, late and stale completions,
// descriptors used again at once, accept errors, lost cancel races, waits that
// return for nothing, clocks that jump), and checks that its user keeps the
// other side of that contract. A violation ends the driver with an error and
// is kept for [Driver.Violation].
//
// It is used by tests only.
//
// # Use
//
// Give Driver.OpenDriver to conn.Options.OpenDriver and Driver.Clock to
// conn.Options.Clock, with one loop. Connections come from [Driver.Dial], and
// what the loop connects to from [Driver.Answer];
// [Driver.After] runs anything else at a virtual time. Everything but
// [Driver.Wake], [New] and what is called before the loop runs belongs to the
// loop's goroutine: the world moves on within Wait, and stands still until
// somebody accepts. So the same seed always
// gives the same run, provided that other goroutines act on the loop through
// [Driver.External] only.
//
// Connected sockets have numbers from [FirstFD] on, which no open file has.
// Listening sockets are real ones: nobody connects to them.
package simdriver
