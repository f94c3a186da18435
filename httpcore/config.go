//go:build linux

package httpcore

import (
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

// tuning is what tests set beyond the public options.
type tuning struct {
	conn func(*conn.Options)

	handshakes int           // TLS handshakes at a time
	patience   time.Duration // with a handshake when others wait
}

// defaultHeadLimit is the largest request head when ReadBufferSize is not set.
// fasthttp's 4096 refuses request lines of 8000 octets, which RFC 9112
// section 3 asks every server to take, and what browsers with cookies send.
// Here an idle connection does not pay for it.
const defaultHeadLimit = 16 << 10

// config is fasthttp.Server's configuration, digested.
type config struct {
	fs     *fasthttp.Server
	logger fasthttp.Logger

	handler     fasthttp.RequestHandler
	dispatch    Dispatch
	headLimit   int
	concurrency int
	maxHandlers int // of one loop, 0: concurrency
	maxWaiting  int // of one loop, negative: no limit

	headerTimeout time.Duration // the head, from its first byte
	idleTimeout   time.Duration // between requests
	limits        limits        // of a request, unless HeaderReceived has others

	maxRequestsPerConn      uint64
	disableKeepalive        bool
	withoutDisconnectCancel bool
	serverLine              []byte // the Server field line; nil for none
	special                 bool   // exchange.configure has something to do
	plain                   bool   // nothing but its head decides what becomes of a request without a body
}

// poolLimits returns how many workers a pool may have, and how many jobs may
// wait for them or have one, 0 for no limit.
func (c *config) poolLimits() (workers int64, jobs uint64) {
	workers = int64(c.concurrency)
	if c.maxHandlers > 0 {
		workers = int64(c.maxHandlers)
	}
	if c.maxWaiting >= 0 {
		jobs = uint64(workers) + uint64(c.maxWaiting)
	}
	return workers, jobs
}

func newConfig(s *Server) config {
	fs := s.fs
	c := config{
		fs: fs, logger: s.logger(), handler: fs.Handler, dispatch: s.opts.dispatch,
		headLimit: fs.ReadBufferSize, concurrency: fs.Concurrency,
		maxHandlers: s.opts.maxHandlers, maxWaiting: s.opts.maxWaiting,
		headerTimeout: s.opts.headerTimeout, idleTimeout: fs.IdleTimeout,
		limits:                  limits{int64(fs.MaxRequestBodySize), fs.ReadTimeout, fs.WriteTimeout},
		maxRequestsPerConn:      uint64(max(fs.MaxRequestsPerConn, 0)),
		disableKeepalive:        fs.DisableKeepalive,
		withoutDisconnectCancel: s.opts.withoutDisconnectCancel,
		special: fs.SecureErrorLogMessage || fs.NoDefaultDate || fs.NoDefaultContentType ||
			fs.DisableHeaderNamesNormalizing,
		plain: !fs.DisableKeepalive && fs.MaxRequestsPerConn <= 0 && fs.HeaderReceived == nil,
	}
	if c.headLimit <= 0 {
		c.headLimit = defaultHeadLimit
	}
	if c.limits.body <= 0 {
		c.limits.body = fasthttp.DefaultMaxRequestBodySize
	}
	if c.concurrency <= 0 {
		c.concurrency = fasthttp.DefaultConcurrency
	}
	if c.idleTimeout == 0 {
		c.idleTimeout = fs.ReadTimeout
	}
	if d := c.limits.read; d > 0 && (c.headerTimeout <= 0 || d < c.headerTimeout) {
		c.headerTimeout = d
	}
	name := fs.Name
	if name == "" && !fs.NoDefaultServerHeader {
		name = "fasthttp"
	}
	if name != "" {
		c.serverLine = append(append([]byte("Server: "), strings.NewReplacer("\r", " ", "\n", " ").Replace(name)...), '\r', '\n')
	}
	return c
}
