//go:build linux

package conn

import (
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkConnect is an outbound connection: a socket, the connect, and its
// end, which the peer brings about (by a reset, so that no port is left waiting).
func BenchmarkConnect(b *testing.B) {
	for _, kind := range []DriverKind{IOUring, Epoll} {
		b.Run(kind.String(), func(b *testing.B) {
			requireDriver(b, kind)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer ln.Close()
			go func() {
				for {
					nc, err := ln.Accept()
					if err != nil {
						return
					}
					_ = nc.(*net.TCPConn).SetLinger(0)
					nc.Close()
				}
			}()
			e := clientOnly(b, kind, Options{})
			left, done := b.N, make(chan error, 1)
			h := &script{}
			var next func(*Loop)
			end := func(l *Loop, err error) {
				if left--; left == 0 || err != nil {
					done <- err
					return
				}
				next(l)
			}
			next = func(l *Loop) {
				l.Connect(ln.Addr(), h, func(err error) {
					if errors.Is(err, unix.ECONNRESET) { // the peer was quicker
						err = nil
					}
					end(l, err)
				})
			}
			h.closed = func(c *Conn, _ error) { end(c.Loop(), nil) }
			b.ReportAllocs()
			b.ResetTimer()
			e.loops[0].Post(&Task{Run: next})
			if err := <-done; err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
		})
	}
}

// BenchmarkAlarm: set and stopped, among a thousand others.
func BenchmarkAlarm(b *testing.B) {
	l, _, _ := sinkLoop(b, &script{}, 1)
	others := make([]Alarm, 1000)
	for i := range others {
		l.SetAlarm(&others[i], time.Duration(1+i*7919%1000)*time.Second)
	}
	var a Alarm
	b.ReportAllocs()
	for b.Loop() {
		l.SetAlarm(&a, 500*time.Second)
		l.StopAlarm(&a)
	}
}
