//go:build linux

package httpcore

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
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

// outward is what ErrorHandler and ServeConn's caller get for err: the types
// that they know from fasthttp, where it has one.
func outward(err error) error {
	switch err {
	case errHeadTooLarge:
		return smallBuffer
	case errTimeout:
		return deadlineExceeded
	case errIncomplete:
		return io.ErrUnexpectedEOF
	case errWriteTimeout:
		return &net.OpError{Op: "write", Net: "tcp", Err: os.ErrDeadlineExceeded}
	}
	return err
}

var deadlineExceeded = &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}

// smallBuffer is a *fasthttp.ErrSmallBuffer, which only fasthttp can make.
var smallBuffer = func() error {
	h := fasthttp.AcquireRequest()
	defer fasthttp.ReleaseRequest(h)
	r := strings.NewReader("GET / HTTP/1.1\r\nHost: over-the-limit\r\n\r\n")
	return h.Header.Read(bufio.NewReaderSize(r, 16))
}()

// failed notes for ServeConn's caller why the connection ends.
func (s *session) failed(err error) {
	if s.served != nil && s.served.err == nil {
		s.served.err = outward(err)
	}
}
