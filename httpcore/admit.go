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
func (sh *shared) admit(s *session) (why admission) {
	if k, ok := s.c.NetConn().(*shaken); ok { // it counts already
		s.remote, s.counted, s.countedIP = s.remoteAddr(), true, k.countedIP
		return admitted
	}
	if sh.cfg.fs.MaxConnsPerIP > 0 {
		s.remote = s.remoteAddr()
	}
	s.countedIP, why = sh.enter(s.remote.Addr())
	s.counted = why == admitted
	return why
}

// enter counts a connection from ip, unless it is one too many; countedIP says
// whether it counts for ip too.
func (sh *shared) enter(ip netip.Addr) (countedIP bool, why admission) {
	if limit := sh.cfg.fs.MaxConnsPerIP; limit > 0 && ip.IsValid() {
		sh.mu.Lock()
		over := sh.perIP[ip] >= limit
		if !over {
			if sh.perIP == nil {
				sh.perIP = make(map[netip.Addr]int)
			}
			sh.perIP[ip]++
		}
		sh.mu.Unlock()
		if over {
			return false, tooManyForIP
		}
		countedIP = true
	}
	if sh.open.Add(1) > int64(sh.cfg.concurrency) {
		sh.exit(ip, countedIP)
		return false, tooMany
	}
	return countedIP, admitted
}

// exit takes a connection that has entered out of the counts.
func (sh *shared) exit(ip netip.Addr, countedIP bool) {
	sh.open.Add(-1)
	if countedIP {
		sh.leaveIP(ip)
	}
}

// leave takes a session's connection out of the counts.
func (sh *shared) leave(s *session) {
	if s.counted {
		sh.exit(s.remote.Addr(), s.countedIP)
		s.counted, s.countedIP = false, false
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
	if nc := s.c.NetConn(); nc != nil {
		return remoteAddrOf(nc)
	}
	return s.c.RemoteAddr()
}

func remoteAddrOf(nc net.Conn) netip.AddrPort {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// logEvery keeps a lasting overload from filling the log.
const logEvery = int64(time.Minute / time.Second)

// words returns how fasthttp answers a connection that is one too many.
func (why admission) words() (status int, text string, err error) {
	if why == tooManyForIP {
		return fasthttp.StatusTooManyRequests,
			"The number of connections from your ip exceeds MaxConnsPerIP", fasthttp.ErrPerIPConnLimit
	}
	return fasthttp.StatusServiceUnavailable,
		"The connection cannot be served because Server.Concurrency limit exceeded", fasthttp.ErrConcurrencyLimit
}

// reject answers a connection that is one too many, as fasthttp does, and
// closes it.
func (p *protocol) reject(s *session, why admission) {
	status, text, err := why.words()
	s.failed(err)
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
	p.shared.refuse(why)
}

// refuse counts a connection that was not admitted, and logs it.
func (sh *shared) refuse(why admission) {
	sh.rejections.Add(1)
	now, last := time.Now().Unix(), sh.loggedAt.Load()
	if now-last >= logEvery && sh.loggedAt.CompareAndSwap(last, now) {
		_, text, _ := why.words()
		sh.cfg.logger.Printf("httpcore: refusing a connection: %s", text)
	}
}
