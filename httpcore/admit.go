//go:build linux

package httpcore

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// shared is what the loops of a server have in common. Its methods may be
// called from any goroutine; on the hot path of a connection that stays open
// there is none of them.
type shared struct {
	cfg          config
	timeoutSlots chan struct{} // TimeoutHandler's limit

	open       atomic.Int64
	rejections atomic.Uint32
	loggedAt   atomic.Int64 // unix seconds: when a rejection was last logged

	busyLoggedAt atomic.Int64 // the same of a request that was refused

	mu    sync.Mutex
	perIP map[netip.Addr]int // open connections, with MaxConnsPerIP
}

// admission says whether a connection may stay.
type admission uint8

const (
	admitted     admission = iota
	tooMany                // Concurrency
	tooManyForIP           // MaxConnsPerIP
)

// admit counts a new connection, unless it is one too many.
func (sh *shared) admit(s *session) admission {
	if limit := sh.cfg.fs.MaxConnsPerIP; limit > 0 {
		s.remote = s.remoteAddr()
		ip := s.remote.Addr()
		sh.mu.Lock()
		over := ip.IsValid() && sh.perIP[ip] >= limit
		if ip.IsValid() && !over {
			if sh.perIP == nil {
				sh.perIP = make(map[netip.Addr]int)
			}
			sh.perIP[ip]++
			s.countedIP = true
		}
		sh.mu.Unlock()
		if over {
			return tooManyForIP
		}
	}
	if sh.open.Add(1) > int64(sh.cfg.concurrency) {
		sh.open.Add(-1)
		return tooMany
	}
	s.counted = true
	return admitted
}

// leave takes a connection out of the counts.
func (sh *shared) leave(s *session) {
	if s.counted {
		s.counted = false
		sh.open.Add(-1)
	}
	if s.countedIP {
		s.countedIP = false
		sh.leaveIP(s.remote.Addr())
	}
}

func (sh *shared) leaveIP(ip netip.Addr) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.perIP[ip]--; sh.perIP[ip] <= 0 {
		delete(sh.perIP, ip)
	}
}

// remoteAddr returns the peer's address, as far as it has an IP address.
func (s *session) remoteAddr() netip.AddrPort {
	nc := s.c.NetConn()
	if nc == nil {
		return s.c.RemoteAddr()
	}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// logEvery keeps a lasting overload from filling the log.
const logEvery = int64(time.Minute / time.Second)

// reject answers a connection that is one too many, as fasthttp does, and
// closes it.
func (p *protocol) reject(s *session, why admission) {
	status, err := fasthttp.StatusServiceUnavailable, fasthttp.ErrConcurrencyLimit
	text := "The connection cannot be served because Server.Concurrency limit exceeded"
	if why == tooManyForIP {
		status, err = fasthttp.StatusTooManyRequests, fasthttp.ErrPerIPConnLimit
		text = "The number of connections from your ip exceeds MaxConnsPerIP"
	}
	if s.served != nil {
		s.served.err = err
	}
	var resp fasthttp.Response
	resp.SetStatusCode(status)
	resp.SetConnectionClose()
	resp.Header.SetContentType("text/plain")
	p.cfg.setServer(&resp)
	resp.Header.SetContentLength(len(text))
	if _, tls := s.c.NetConn().(tlsConn); !tls {
		s.c.Write(resp.Header.Header())
		s.c.Write([]byte(text))
	}
	s.closing = true
	s.c.Close()
	sh := p.shared
	sh.rejections.Add(1)
	now, last := time.Now().Unix(), sh.loggedAt.Load()
	if now-last >= logEvery && sh.loggedAt.CompareAndSwap(last, now) {
		p.cfg.logger.Printf("httpcore: refusing a connection: %s", text)
	}
}
