//go:build linux

package httpcore

import (
	"errors"
	"time"

	"github.com/valyala/fasthttp"
)

// logFailure logs why a request or a connection failed, in fasthttp's words:
// what clients do every day (timeouts, requests that break off) only with
// LogAllErrors, and the rest once a second at most without it, for a log line
// costs the loop more than the request did.
func (p *protocol) logFailure(s *session, err error) {
	if !p.cfg.fs.LogAllErrors {
		now := p.loop.Now()
		if everyday(err) || p.loggedAt != 0 && now-p.loggedAt < int64(time.Second) {
			return
		}
		p.loggedAt = now
	}
	local, remote := "?", "?" // nobody asked while there was a socket
	if s.local != nil {
		local, remote = netAddr(*s.local).String(), netAddr(s.remote).String()
	}
	p.cfg.logger.Printf("error when serving connection %q<->%q: %v", local, remote, err)
}

func everyday(err error) bool {
	return err == errTimeout || err == errIncomplete || err == errHeadTooLarge ||
		errors.Is(err, fasthttp.ErrBadTrailer)
}
