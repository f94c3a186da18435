//go:build linux

package httpcore

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// BenchmarkFiles is a file from the page cache to a client on one connection,
// the client included: over sockets, since the driver does the reading.
func BenchmarkFiles(b *testing.B) {
	for _, m := range []mode{{IOUring, Adaptive, TierBest}, {Epoll, Adaptive, TierBest}} {
		for _, size := range []int{4 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("%v/%d", m.driver, size), func(b *testing.B) {
				if err := probeDriver(); m.driver == IOUring && err != nil {
					b.Skipf("io_uring cannot be had here: %v", err)
				}
				root := b.TempDir()
				if err := os.WriteFile(filepath.Join(root, "file"), make([]byte, size), 0o644); err != nil {
					b.Fatal(err)
				}
				f := &Files{Root: root}
				s := New(&fasthttp.Server{Handler: f.Handler()}, WithDriver(m.driver), WithLoops(1))
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					b.Fatal(err)
				}
				go s.Serve(ln)
				defer s.Shutdown()
				nc, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				defer nc.Close()
				request := []byte(get("/file"))
				whole := fetch(b, nc, request, 0)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					fetch(b, nc, request, whole)
				}
			})
		}
	}
}

// fetch sends a request and reads a response of so many octets; 0: it finds out
// how many they are, by the Content-Length.
func fetch(b *testing.B, nc net.Conn, request []byte, whole int) int {
	if _, err := nc.Write(request); err != nil {
		b.Fatal(err)
	}
	buf := fetched[:]
	if whole > 0 {
		if _, err := io.ReadFull(nc, buf[:whole]); err != nil {
			b.Fatal(err)
		}
		return whole
	}
	n, head, length := 0, -1, 0
	for head < 0 || n < head+length {
		k, err := nc.Read(buf[n:])
		if err != nil {
			b.Fatal(err)
		}
		n += k
		if at := bytes.Index(buf[:n], []byte("\r\n\r\n")); at >= 0 && head < 0 {
			head = at + 4
			_, field, _ := strings.Cut(string(buf[:head]), "Content-Length: ")
			if _, err := fmt.Sscanf(field, "%d", &length); err != nil {
				b.Fatal(err)
			}
		}
	}
	return n
}

var fetched [128 << 10]byte
