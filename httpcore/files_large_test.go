//go:build linux

package httpcore

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// TestFilesLarge: files that go from the page cache to the socket: whole, in
// parts, and with other requests before and behind them.
func TestFilesLarge(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := newSite(t)
		const size = 8<<20 + 13
		s.write("large.bin", varied(size))
		s.write("small.txt", "small")
		ts := s.serve(m, &Files{})
		c := ts.dial()
		for _, part := range []struct {
			field     string
			first, to int
		}{
			{"", 0, size},
			{"bytes=0-0", 0, 1},
			{"bytes=1-131072", 1, 131073},
			{"bytes=4095-5000000", 4095, 5000001},
			{"bytes=-200000", size - 200000, size},
			{"bytes=5-", 5, size},
		} {
			status, fields := 200, []string(nil)
			if part.field != "" {
				status, fields = 206, []string{"Range: " + part.field}
			}
			resp := c.ask("GET", "/large.bin", fields...)
			if resp.StatusCode != status || resp.body != varied(size)[part.first:part.to] {
				t.Errorf("range %q: %d, %d octets", part.field, resp.StatusCode, len(resp.body))
			}
		}
		if resp := c.ask("HEAD", "/large.bin"); resp.StatusCode != 200 || resp.ContentLength != size {
			t.Errorf("HEAD: %d, length %d", resp.StatusCode, resp.ContentLength)
		}
		var requests strings.Builder
		for range 3 {
			requests.WriteString(get("/small.txt") + get("/large.bin") + get("/large.bin", "Range: bytes=7-300000") + get("/small.txt"))
		}
		c.send(requests.String())
		for range 3 {
			for _, want := range []string{"small", varied(size), varied(size)[7:300001], "small"} {
				if resp := c.response("GET"); resp.body != want {
					t.Errorf("pipelined: %d octets, want %d", len(resp.body), len(want))
				}
			}
		}
		// The last one on its connection.
		c.send(get("/large.bin", "Connection: close"))
		if resp := c.response("GET"); resp.body != varied(size) || !resp.Close {
			t.Errorf("with close: %d octets", len(resp.body))
		}
		c.wantEOF()
		// A client that has said everything.
		half := ts.dial()
		half.send(get("/large.bin"))
		half.halfClose()
		if resp := half.response("GET"); resp.body != varied(size) {
			t.Errorf("after the client's EOF: %d octets", len(resp.body))
		}
	})
}

// TestFilesGrow: what is added to a file while it is sent is not sent.
func TestFilesGrow(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := newSite(t)
		const size = 12 << 20
		s.write("file.bin", varied(size))
		s.write("small.txt", "small")
		c := s.serve(m, &Files{}).dial()
		c.send(get("/file.bin") + get("/small.txt"))
		if _, err := c.r.Peek(1000); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(filepath.Join(s.root, "file.bin"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := io.WriteString(f, varied(1<<20)); err != nil {
			t.Fatal(err)
		}
		if resp := c.response("GET"); resp.body != varied(size) {
			t.Errorf("%d octets", len(resp.body))
		}
		if resp := c.response("GET"); resp.body != "small" {
			t.Errorf("behind it: %q", resp.body)
		}
	})
}

// TestFilesWriteTimeout: a client that does not take a large file is given up.
func TestFilesWriteTimeout(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := newSite(t)
		s.write("file.bin", "")
		if err := os.Truncate(filepath.Join(s.root, "file.bin"), 64<<20); err != nil { // more than the system buffers
			t.Fatal(err)
		}
		f := &Files{Root: s.root, CacheDuration: -1}
		ts := serve(t, m, &fasthttp.Server{Handler: f.Handler(), WriteTimeout: 100 * time.Millisecond})
		c := ts.dial()
		c.send(get("/file.bin"))
		if _, err := c.r.Peek(1000); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the connection's end", func() bool { return ts.GetOpenConnectionsCount() == 0 })
		eventually(t, "the file's close", func() bool { return openBelow(t, s.root) == 0 })
		if resp, err := c.tryResponse("GET"); err == nil {
			t.Errorf("%d octets and no error", len(resp.body))
		}
	})
}
