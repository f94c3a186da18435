package gen

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/ringcore/ringcore/ring"
)

// Config says what to send where. The zero value of a field means its default.
type Config struct {
	// Target is the server, "http://HOST:PORT"; the port is 80 if none is
	// given. HOST must be a loopback address, or a name for one, unless Remote
	// is set. Required.
	Target string
	// Remote allows a Target that is no loopback address.
	Remote bool
	// Requests is the mix to send, 1 to 256 kinds; default: GET /.
	Requests []Request

	// Connections is how many there are at once, 1 to 1,000,000; default 64.
	Connections int
	// Pipelining is how many requests are sent on a connection before a
	// response is waited for, 1 to 1024; default 1. With Rate: at most.
	Pipelining int
	// Close takes a connection for each request. The request says
	// "Connection: close", and its latency includes connecting.
	Close bool
	// Rate is the number of requests/s in open loop, up to 10,000,000;
	// default 0: closed loop.
	Rate float64

	// Warmup is how long load is put on before measuring begins; default 0.
	Warmup time.Duration
	// Duration is how long to measure, up to 24 h; default 10 s, or 10 min if
	// Count ends the run.
	Duration time.Duration
	// Count ends the run after this many requests; default 0: Duration does.
	// Without a Warmup exactly as many are sent.
	Count int64
	// Timeout is how long a response may take, to a quarter of a second;
	// default 10 s.
	Timeout time.Duration

	// Loops is the number of the client's loops, 1 to 64, at most Connections;
	// default 1.
	Loops int
	// Driver is the client's: "auto", "io_uring" or "epoll"; default "auto".
	Driver string
	// MaxTier is the highest io_uring tier to use, as conn.ParseTier knows
	// it; default "best".
	MaxTier string
	// Connecting is how many connections are being made at once on a loop,
	// 1 to 4096; default 128.
	Connecting int
	// Sources is how many source addresses 127.x.y.z to use in turn, 1 to
	// 65,536; default: one for each 20,000 connections. An address has some
	// 28,000 ports. For IPv4 loopback targets only.
	Sources int

	// Curve asks for Report.LatencyCurve.
	Curve bool
	// OnTick, if not nil, is called about four times a second with the
	// progress, on a goroutine of its own.
	OnTick func(Progress)

	giveUp     time.Duration                          // how long a run goes on without any connection
	openDriver func(ring.Config) (ring.Driver, error) // for tests
}

// Limits of Config.
const (
	maxConnections = 1_000_000
	maxPipelining  = 1024
	maxRate        = 10_000_000
	maxDuration    = 24 * time.Hour
	maxKinds       = 256
	maxLoops       = 64
	maxConnecting  = 4096
	maxSources     = 1 << 16

	// connsPerSource leaves room within the ephemeral ports (32768–60999,
	// ip_local_port_range) of one source address.
	connsPerSource = 20_000
)

// setDefaults fills in what was left out and checks the rest. Its errors are
// one line for people.
func (c *Config) setDefaults() error {
	if len(c.Requests) == 0 {
		c.Requests = []Request{{}}
	}
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&c.Connections, 64)
	set(&c.Pipelining, 1)
	set(&c.Loops, 1)
	set(&c.Connecting, 128)
	set(&c.Sources, (c.Connections+connsPerSource-1)/connsPerSource)
	if c.Duration == 0 {
		c.Duration = 10 * time.Second
		if c.Count > 0 {
			c.Duration = 10 * time.Minute
		}
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.giveUp == 0 {
		c.giveUp = 3 * time.Second
	}
	if c.Driver == "" {
		c.Driver = "auto"
	}
	for _, f := range []struct {
		name        string
		v, min, max int
	}{
		{"kinds of requests", len(c.Requests), 1, maxKinds},
		{"connections", c.Connections, 1, maxConnections},
		{"pipelining", c.Pipelining, 1, maxPipelining},
		{"loops", c.Loops, 1, min(maxLoops, c.Connections)},
		{"connecting", c.Connecting, 1, maxConnecting},
		{"sources", c.Sources, 1, maxSources},
	} {
		if f.v < f.min || f.v > f.max {
			return fmt.Errorf("%s: %d, want %d to %d", f.name, f.v, f.min, f.max)
		}
	}
	switch {
	case !(c.Rate >= 0 && c.Rate <= maxRate): // NaN too
		return fmt.Errorf("rate: %v, want 0 to %d requests/s", c.Rate, maxRate)
	case c.Warmup < 0 || c.Warmup > maxDuration:
		return fmt.Errorf("warm-up: %v, want 0 to %v", c.Warmup, maxDuration)
	case c.Duration < 0 || c.Duration > maxDuration:
		return fmt.Errorf("duration: %v, want up to %v", c.Duration, maxDuration)
	case c.Count < 0:
		return fmt.Errorf("count: %d, want 1 or more", c.Count)
	case c.Count > 0 && c.Count < int64(c.Loops):
		return fmt.Errorf("count: %d, want at least one for each of %d loops", c.Count, c.Loops)
	case c.Timeout < 0:
		return fmt.Errorf("timeout: %v, want it positive", c.Timeout)
	case c.Close && c.Pipelining > 1:
		return errors.New("pipelining needs connections that are kept")
	}
	return nil
}

// target is where the load goes.
type target struct {
	url  string // as given, without a path
	host string // the Host field
	addr netip.AddrPort
}

// resolve finds the target's address and sees to it that it is ours to load.
func (c *Config) resolve() (target, error) {
	u, err := url.Parse(c.Target)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
		return target{}, fmt.Errorf("target %q: want http://HOST:PORT", c.Target)
	}
	if (u.Path != "" && u.Path != "/") || u.RawQuery != "" {
		return target{}, fmt.Errorf("target %q: the path belongs to the request", c.Target)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	a, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return target{}, fmt.Errorf("target %q: %w", c.Target, err)
	}
	addr := a.AddrPort()
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if addr.Port() == 0 {
		return target{}, fmt.Errorf("target %q: want a port from 1 to 65535", c.Target)
	}
	if !addr.Addr().IsLoopback() && !c.Remote {
		return target{}, fmt.Errorf("target %q is %v, no loopback address: a load must be allowed to leave the machine", c.Target, addr.Addr())
	}
	if c.Sources > 1 && !(addr.Addr().Is4() && addr.Addr().IsLoopback()) {
		return target{}, fmt.Errorf("%d source addresses are for IPv4 loopback targets, not %v", c.Sources, addr.Addr())
	}
	return target{url: "http://" + u.Host, host: u.Host, addr: addr}, nil
}
