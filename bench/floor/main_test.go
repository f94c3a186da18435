//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ringcore/ringcore/conn"
)

// However requests come, and however slowly answers are taken, each gets its one.
func TestFloor(t *testing.T) {
	for name, kind := range map[string]conn.DriverKind{"io_uring": conn.IOUring, "epoll": conn.Epoll} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			engine, err := start(kind, ln)
			if err != nil {
				t.Fatal(err)
			}
			defer engine.Shutdown(context.Background())
			for path, want := range map[string]string{"/plaintext": "Hello, World!", "/10k": strings.Repeat("0123456789abcdef", 640)} {
				const requests = 2000
				c, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				go func() {
					all := bytes.Repeat([]byte("GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n"), requests)
					for n := 19; len(all) > 0; n = (n*7 + 1) % 997 {
						k, err := c.Write(all[:min(n+1, len(all))])
						if err != nil {
							return // the reader tells
						}
						all = all[k:]
					}
					_ = c.(*net.TCPConn).CloseWrite()
				}()
				r := bufio.NewReader(c)
				for i := range requests {
					resp, err := http.ReadResponse(r, nil)
					if err != nil {
						t.Fatalf("%s, response %d: %v", path, i, err)
					}
					body, err := io.ReadAll(resp.Body)
					if err != nil || string(body) != want {
						t.Fatalf("%s, response %d: %d octets (%v)", path, i, len(body), err)
					}
				}
				if _, err := r.ReadByte(); err != io.EOF {
					t.Fatalf("%s: after the last response: %v, want the end", path, err)
				}
			}
		})
	}
}
