//go:build linux

package conn

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Dialer makes connections over the loops of an Engine that are net.Conns, for
// clients that block on goroutines of their own: fasthttp.HostClient,
// http.Transport, database drivers. It may be used by any number of goroutines.
//
// The connections keep to what net.Conn promises (deadlines, concurrent use,
// errors that wrap os.ErrDeadlineExceeded, net.ErrClosed and what the system
// said, io.EOF), and have CloseWrite. They have no goroutine, and no buffer
// while nothing waits; up to 128 KiB each way wait between a goroutine and the
// loop, and then the peer, or Write, is slowed down.
//
// Dialling and the connections' methods wait for the loop, so they are not for
// its own goroutine: there Dial fails, unless Options.Movable says that
// somebody else may take the loop over.
type Dialer struct {
	// Engine has the loops. Required.
	Engine *Engine
	// Timeout limits each Dial, name resolution included; 0: no limit but the
	// system's.
	Timeout time.Duration
	// Resolver resolves host names, on the caller's goroutine; nil:
	// net.DefaultResolver.
	Resolver *net.Resolver

	next atomic.Uint32 // the loop that gets the next connection
}

// Dial connects to the address on the network, tcp, tcp4, tcp6 or unix.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// errOwnLoop is the error of what would wait for itself.
var errOwnLoop = errors.New("conn: Dial on a loop's own goroutine would wait for itself")

// onLoop reports whether the caller is the goroutine of a loop that nobody else
// would take over.
func (e *Engine) onLoop() bool {
	if e.opts.Movable || e.opts.unlocked {
		return false
	}
	me := int64(unix.Gettid())
	for _, l := range e.loops {
		if l.thread.Load() == me {
			return true
		}
	}
	return false
}

// DialContext is Dial, limited by ctx; once connected, ctx means nothing to the
// connection. Of a name with several addresses all are tried in the resolver's
// order, the next when the last has failed or not answered for a while, and the
// first that answers wins (RFC 8305, section 5, without sorting by family).
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	fail := func(addr net.Addr, err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: addr, Err: err}
	}
	if d.Engine.onLoop() {
		return fail(nil, errOwnLoop)
	}
	addrs, err := d.resolve(ctx, network, address)
	if err != nil {
		return fail(nil, err)
	}
	nc, addr, err := d.race(ctx, addrs)
	if err != nil {
		return fail(addr, err)
	}
	return nc, nil
}

// resolve returns the addresses that address stands for, at least one.
func (d *Dialer) resolve(ctx context.Context, network, address string) ([]net.Addr, error) {
	family := "ip"
	switch network {
	case "unix":
		return []net.Addr{&net.UnixAddr{Name: address, Net: "unix"}}, nil
	case "tcp":
	case "tcp4", "tcp6":
		family += network[3:]
	default:
		return nil, net.UnknownNetworkError(network)
	}
	r := d.Resolver
	if r == nil {
		r = net.DefaultResolver
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(service)
	if err != nil {
		if port, err = r.LookupPort(ctx, network, service); err != nil {
			return nil, err
		}
	}
	if host == "" {
		return []net.Addr{&net.TCPAddr{Port: port, IP: loopback(family)}}, nil
	}
	ips, err := r.LookupNetIP(ctx, family, host)
	if err != nil {
		return nil, err
	}
	addrs := make([]net.Addr, 0, len(ips))
	for _, ip := range ips {
		addrs = append(addrs, net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip.Unmap(), uint16(port))))
	}
	if len(addrs) == 0 {
		return nil, &net.AddrError{Err: "no suitable address found", Addr: host}
	}
	return addrs, nil
}

func loopback(family string) net.IP {
	if family == "ip6" {
		return net.IPv6loopback
	}
	return net.IPv4(127, 0, 0, 1)
}

// attempt is a connect under way, and its end.
type attempt struct {
	nc  *netConn
	err error
}

// attemptDelay is how long an address has for itself before the next is tried
// too (RFC 8305, section 5).
const attemptDelay = 250 * time.Millisecond

// race tries the addresses, and returns the first connection or the first error.
func (d *Dialer) race(ctx context.Context, addrs []net.Addr) (net.Conn, net.Addr, error) {
	ends := make(chan attempt, len(addrs)) // loops never wait for it
	var begun []*netConn
	abandon := func(winner *netConn) {
		for _, nc := range begun {
			if nc != winner {
				nc.abandon()
			}
		}
	}
	delay := time.NewTimer(attemptDelay)
	defer delay.Stop()
	var first attempt // that failed
	for failed, next := 0, true; ; {
		if next && len(begun) < len(addrs) {
			begun = append(begun, d.begin(addrs[len(begun)], ends))
			delay.Reset(attemptDelay)
		}
		select {
		case a := <-ends:
			if a.err == nil {
				abandon(a.nc)
				return a.nc, nil, nil
			}
			if failed++; failed == 1 {
				first = a
			}
			if failed == len(addrs) {
				return nil, first.nc.remote, first.err
			}
			next = failed == len(begun)
		case <-delay.C:
			next = true
		case <-ctx.Done():
			abandon(nil)
			return nil, begun[0].remote, ctx.Err()
		}
	}
}

// begin starts a connect on the next loop.
func (d *Dialer) begin(addr net.Addr, ends chan<- attempt) *netConn {
	loops := d.Engine.loops
	nc := newNetConn(loops[int(d.next.Add(1)%uint32(len(loops)))], addr)
	nc.opened = func(err error) { ends <- attempt{nc, err} }
	nc.loop.Post(&Task{Run: nc.connect})
	return nc
}

// connect starts it, on the loop.
func (nc *netConn) connect(l *Loop) {
	nc.ref = l.Connect(nc.remote, netHandler{}, func(err error) {
		err = errors.Unwrap(err) // the caller says where to
		var errno syscall.Errno
		if errors.As(err, &errno) {
			err = os.NewSyscallError("connect", errno)
		}
		l.StepBack()
		nc.opened(err)
	})
	if c := nc.ref.Conn(); c != nil {
		c.State = nc
	}
}

// abandon ends what is connecting, or has connected meanwhile.
func (nc *netConn) abandon() {
	nc.loop.Post(&Task{Run: func(*Loop) {
		if c := nc.ref.Conn(); c != nil {
			c.Abort(context.Canceled)
		}
	}})
}
