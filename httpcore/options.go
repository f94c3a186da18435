package httpcore

import (
	"fmt"
	"time"
)

// Option changes how a Server serves. Options that come later win.
type Option func(*options)

type options struct {
	driver        DriverKind
	maxTier       Tier
	loops         int
	dispatch      Dispatch
	headerTimeout time.Duration
	ready         func(Info)
	tune          tuning

	maxHandlers, maxWaiting int

	withoutDisconnectCancel bool
}

// DefaultHeaderTimeout is how long a client may take over a request's header.
const DefaultHeaderTimeout = 10 * time.Second

func defaultOptions() options {
	return options{dispatch: Adaptive, headerTimeout: DefaultHeaderTimeout, maxWaiting: -1}
}

// Dispatch says where handlers run.
type Dispatch uint8

// The ways of dispatching.
const (
	// Pooled runs all handlers on goroutines; they may block.
	Pooled Dispatch = iota
	// Inline runs handlers on the loop. It is the fastest way for handlers
	// that never block; one that does stops its loop meanwhile.
	Inline
	// Adaptive runs handlers of routes that have proved quick on the loop, and
	// the others on goroutines; they may block. One that blocks on the loop all
	// the same loses it to another goroutine after one to two milliseconds.
	// Handlers that burn processor time for long want GOMAXPROCS to be more
	// than the loops: Go's scheduler lets them have a processor for 10 ms at a
	// time and more, while of two threads the operating system lets the loop's
	// go first. On one CPU Go sets GOMAXPROCS to 1; there a program whose
	// handlers burn calls runtime.GOMAXPROCS(2) before New. A program that makes
	// much garbage does not: collecting it takes more from the loop then.
	Adaptive
)

var dispatchNames = [...]string{"pooled", "inline", "adaptive"}

func (d Dispatch) String() string {
	if int(d) < len(dispatchNames) {
		return dispatchNames[d]
	}
	return fmt.Sprintf("dispatch %d", uint8(d))
}

// ParseDispatch is the inverse of Dispatch.String.
func ParseDispatch(s string) (Dispatch, error) {
	for i, n := range dispatchNames {
		if s == n {
			return Dispatch(i), nil
		}
	}
	return 0, fmt.Errorf("unknown dispatch %q: want adaptive, inline or pooled", s)
}

// WithDriver chooses the driver; default Auto. With IOUring, serving fails
// where io_uring cannot be had, and the error names the cause and the cure.
func WithDriver(k DriverKind) Option { return func(o *options) { o.driver = k } }

// WithMaxTier forbids what io_uring offers above the given tier; default
// TierBest. For tests, and for users in trouble with a kernel.
func WithMaxTier(t Tier) Option { return func(o *options) { o.maxTier = t } }

// WithLoops sets the number of event loops, 1 to 1024; 0, the default, derives
// it from GOMAXPROCS (which follows the CPU affinity and the cgroup's limit):
// one for up to three processors, since a single loop under load batches
// better and handlers, runtime and clients need room too; beyond that all but
// one with Inline, half of them with Pooled and Adaptive.
func WithLoops(n int) Option { return func(o *options) { o.loops = n } }

// WithDispatch says where handlers run; default Adaptive.
func WithDispatch(d Dispatch) Option { return func(o *options) { o.dispatch = d } }

// WithHeaderTimeout bounds the time from the first byte of a request to the
// end of its header; default 10 s. A client that exceeds it gets 408. A
// shorter fasthttp.Server.ReadTimeout wins. Zero or less means no limit.
func WithHeaderTimeout(d time.Duration) Option {
	return func(o *options) { o.headerTimeout = d }
}

// WithMaxHandlers bounds how many handlers run on goroutines at once, on each
// loop: 1 and more; 0, the default, stands for fasthttp.Server.Concurrency.
// Further requests wait, or are refused: see WithMaxWaiting. Handlers that run
// on the loop (with Inline, and quick ones with Adaptive) and suspended requests
// do not count.
func WithMaxHandlers(n int) Option { return func(o *options) { o.maxHandlers = max(n, 0) } }

// WithMaxWaiting says what becomes of a request for which no goroutine is free
// (WithMaxHandlers): up to n of each loop wait for one, and those that come when
// n are waiting are answered 503 with Retry-After, at once, on a connection that
// stays open. Negative, the default: all of them wait, which costs a connection
// and its request's memory for each, and never more, since requests that are
// pipelined behind one that waits are left in the socket. A loop takes up many
// requests at a time: an n below some hundreds refuses bursts that it could
// serve within milliseconds.
func WithMaxWaiting(n int) Option { return func(o *options) { o.maxWaiting = n } }

// WithReady has f called by each Serve when the server has opened its loops and
// is about to accept; the Info's Addr then has the port that was chosen for
// port 0. f may call methods of the Server, but what it waits for is not served
// meanwhile.
func WithReady(f func(Info)) Option { return func(o *options) { o.ready = f } }

// WithoutDisconnectCancel gives RequestCtx.Done fasthttp's old behaviour: it
// closes at the server's shutdown only, not when the client goes, so that what
// handlers have begun with the context goes on.
func WithoutDisconnectCancel() Option {
	return func(o *options) { o.withoutDisconnectCancel = true }
}

// defaultLoops derives the number of loops from the number of processors.
func defaultLoops(procs int, d Dispatch) int {
	switch {
	case procs <= 3:
		return 1
	case d == Inline:
		return procs - 1
	}
	return procs / 2
}
