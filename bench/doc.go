// Package bench is the folder of programs that show what ringcore does; it
// holds no code itself.
//
//   - server is the bench server: a handful of routes, served by httpcore on
//     the driver and with the dispatch that its flags name
//   - load puts HTTP load on a server and measures what comes back; its engine
//     is a library, load/gen
//   - idle opens connections and leaves them alone, and says what they cost
//     the server in memory and CPU time
//   - compare runs ringcore and other servers under the same loads, and reports
//     what a request costs each
//   - floor answers with constant octets: what the kernel and the loop cost
//     without HTTP
//   - c1m holds a million connections, over several processes, and says the
//     same of them
//   - peers, a module of its own, serves the same routes by other servers
//
// The scripts in scripts/ run them against each other.
package bench
