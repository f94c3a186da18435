// Package gen generates HTTP/1.1 load on conn's own loop and measures what
// comes back. The program bench/load is made of it; other programs may use it
// as a library ([Run]) or run that program with -json - and read a [Report].
//
// # Modes
//
// Closed loop (Config.Rate is 0): each connection sends a batch of
// Config.Pipelining requests, waits for all the responses, and sends the next.
// The latency of a request begins when its batch is handed to the system. A
// server that stalls is asked less: this mode measures throughput.
//
// Open loop (Config.Rate is above 0): requests fall due at a fixed rate,
// whatever the server does, and take the first connection that is free. The
// latency of a request begins at the moment it was planned for, not when it
// could be sent, so a server that stalls pays for all who had to wait: there is
// no coordinated omission. What was planned and not answered at the end enters
// the latencies with the time it had waited so far, a lower bound.
//
// Clocks are read once a turn of the loop, after it has waited. A latency thus
// includes the work of the turn that sends the request; it never leaves out
// waiting.
//
// # What counts
//
// A response counts as one of Report.Requests if it is whole and passes its
// checks: its status (2xx or 3xx, or the one asked for), and, if asked for, the
// length and the SHA-256 of its body. Everything else is in Report.Errors:
//
//	refused     connect(2): connection refused
//	connect     connecting failed in another way (timed out, no port left, …)
//	reset       the connection broke while responses were due
//	closed      the server closed it while responses were due
//	timeout     no response within Config.Timeout
//	protocol    what came is no HTTP/1.1 response, or one that nobody asked for
//	status      a whole response with another status than wanted
//	length      … with another length than wanted
//	hash        … with another SHA-256 than wanted
//
// After refused and connect it tries again; after reset, closed, timeout and
// protocol, which count each request that was due, it connects anew. Requests
// that were sent behind one whose response announced the connection's end are
// sent again, as RFC 9112 section 9.3.2 wants, and are no errors.
//
// # JSON
//
// The fields of [Report] are the format, in snake case; it is one object. Times
// are in s or µs as their names say, counts cover the measured time without
// the warm-up. A consumer finds there
//
//	format         1; it grows when a field changes its meaning
//	target         "http://127.0.0.1:8080"
//	mix            [{name, method, path, weight, request_bytes, requests,
//	               latency_us}, …], a member for each kind of request
//	driver, tier   of the client's loops: "io_uring" and "6.1", or "epoll" and ""
//	loops          of the client
//	connections, pipelining, keep_alive
//	mode           "closed" or "open"
//	rate           planned requests/s, 0 if closed
//	warmup_s, duration_s
//	               as measured
//	from_unix_us, to_unix_us
//	               when measuring began and ended, by the system's clock
//	requests       responses that count, see above
//	responses_per_s
//	bytes          received, heads and bodies
//	bytes_sent
//	statuses       {"200": N, …} of whole responses
//	errors         {"reset": N, …}, {} if there were none
//	warmup_errors  the same, before the measured time
//	connects       connections that were made; reconnects: those of them that
//	               replace one the server had closed in good order
//	latency_us     {count, min, mean, stddev, p50, p90, p99, p999, max}; all 0 if
//	               nothing was answered. Values have three significant digits.
//	latency_curve  [{quantile, us, count}, …] from 0 to 1, count being the number
//	               of requests at or below; only with -curve (Config.Curve)
//	unanswered     requests sent before the end and not answered by then
//	unsent         open loop: requests that were due and never sent, since no
//	               connection was free: the server did not sustain the rate
//	client_cpu_us_per_request
//	               processor time of the whole client, for each of requests
//	client_cpu     processor time of the busiest loop's thread, as a share of
//	               the time (0 to 1)
//	client_wait    share of the time that this thread was ready to run and had
//	               no CPU; -1 if the system does not tell
//	client_saturated
//	               client_cpu is above 0.95: the client was the bottleneck, the
//	               throughput says nothing about the server
//	interrupted    the run was ended early by its user
//	aborted        why the run was ended early by itself, "" if it was not:
//	               no connection could be made for some seconds
package gen
