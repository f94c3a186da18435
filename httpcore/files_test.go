//go:build linux

package httpcore

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// site is a directory with files to serve.
type site struct {
	t    *testing.T
	root string
}

func newSite(t *testing.T) *site { return &site{t, t.TempDir()} }

func (s *site) write(name, content string) {
	s.t.Helper()
	name = filepath.Join(s.root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// age makes a file as old as it says.
func (s *site) age(name string, d time.Duration) time.Time {
	s.t.Helper()
	at := time.Now().Add(-d)
	if err := os.Chtimes(filepath.Join(s.root, name), at, at); err != nil {
		s.t.Fatal(err)
	}
	return at
}

func (s *site) serve(m mode, f *Files, opts ...Option) *testServer {
	s.t.Helper()
	f.Root = s.root
	return serve(s.t, m, &fasthttp.Server{Handler: f.Handler()}, opts...)
}

// ask sends a request with the fields given and returns the response.
func (c *client) ask(method, path string, fields ...string) response {
	c.t.Helper()
	c.send(method + " " + path + " HTTP/1.1\r\nHost: test\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n")
	return c.response(method)
}

// varied is content that differs from place to place.
func varied(n int) string { return variedContent()[:n] }

var variedContent = sync.OnceValue(func() string {
	b := make([]byte, 0, 17<<20)
	for i := int64(0); len(b) < 16<<20; i++ {
		b = append(strconv.AppendInt(b, i, 10), ' ')
	}
	return string(b)
})

func TestFiles(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := newSite(t)
		s.write("index.html", "<p>top")
		s.write("a/index.html", "<p>a")
		s.write("only/home.htm", "home")
		s.write("none/file.txt", "text")
		s.write("style.css", "b{}")
		s.write("page", "<!DOCTYPE html><html>")
		s.write("empty.txt", "")
		s.write("sp ace é.txt", "space")
		s.write("large.bin", varied(1<<20+1))
		s.write("secret/index.html/x", "a directory named as an index")
		ts := s.serve(m, &Files{IndexNames: []string{"index.html", "home.htm"}})
		c := ts.dial()
		for range 2 { // cold and kept
			for _, want := range []struct {
				path   string
				status int
				ctype  string
				body   string
			}{
				{"/", 200, "text/html; charset=utf-8", "<p>top"},
				{"/index.html", 200, "text/html; charset=utf-8", "<p>top"},
				{"/a/", 200, "text/html; charset=utf-8", "<p>a"},
				{"/only/", 200, "text/html; charset=utf-8", "home"},
				{"/none/", 404, "", "Not Found"},
				{"/none/file.txt", 200, "text/plain; charset=utf-8", "text"},
				{"/none/file.txt/", 404, "", "Not Found"},
				{"/none/file.txt/x", 404, "", "Not Found"},
				{"/missing", 404, "", "Not Found"},
				{"/style.css", 200, "text/css; charset=utf-8", "b{}"},
				{"/page", 200, "text/html; charset=utf-8", "<!DOCTYPE html><html>"},
				{"/empty.txt", 200, "text/plain; charset=utf-8", ""},
				{"/sp%20ace%20%C3%A9.txt", 200, "text/plain; charset=utf-8", "space"},
				{"/large.bin", 200, "application/octet-stream", varied(1<<20 + 1)},
				{"/a/../style.css", 200, "text/css; charset=utf-8", "b{}"},
				{"/secret/", 404, "", "Not Found"},
				{"/x%00y", 404, "", "Not Found"},
				{"/" + strings.Repeat("y", 5000), 404, "", "Not Found"},
				{"/" + strings.Repeat("y", 300), 404, "", "Not Found"},
			} {
				resp := c.ask("GET", want.path)
				if resp.StatusCode != want.status || resp.body != want.body {
					t.Errorf("GET %.40s: %d and %d octets, want %d and %d", want.path, resp.StatusCode, len(resp.body), want.status, len(want.body))
				}
				if want.ctype != "" && resp.Header.Get("Content-Type") != want.ctype && want.path != "/large.bin" {
					t.Errorf("GET %s: type %q, want %q", want.path, resp.Header.Get("Content-Type"), want.ctype)
				}
				head := c.ask("HEAD", want.path)
				if head.StatusCode != want.status || head.body != "" || want.status == 200 && head.ContentLength != int64(len(want.body)) {
					t.Errorf("HEAD %.40s: %d, length %d", want.path, head.StatusCode, head.ContentLength)
				}
			}
			for path, to := range map[string]string{"/a": "/a/", "/a?x=1": "/a/?x=1", "//none": "/none/"} {
				resp := c.ask("GET", path)
				if resp.StatusCode != 301 || resp.Header.Get("Location") != to {
					t.Errorf("GET %s: %d to %q, want 301 to %q", path, resp.StatusCode, resp.Header.Get("Location"), to)
				}
			}
		}
		if resp := c.ask("POST", "/style.css", "Content-Length: 0"); resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST: %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
		}
		// Pipelined.
		c.send(strings.Repeat("GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\nGET /style.css HTTP/1.1\r\nHost: test\r\n\r\n", 5))
		for range 5 {
			if r := c.response("GET"); r.body != varied(1<<20+1) {
				t.Errorf("pipelined: %d octets", len(r.body))
			}
			if r := c.response("GET"); r.body != "b{}" {
				t.Errorf("pipelined: %q", r.body)
			}
		}
	})
}

// TestFilesNoEscape: what is outside of the root cannot be reached.
func TestFilesNoEscape(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := newSite(t)
		s.write("inside.txt", "inside")
		outside := filepath.Join(t.TempDir(), "outside.txt")
		if err := os.WriteFile(outside, []byte("outside"), 0o644); err != nil {
			t.Fatal(err)
		}
		up, _ := filepath.Rel(s.root, outside)
		for name, to := range map[string]string{"absolute": outside, "relative": up, "dir": "..", "good": "inside.txt"} {
			if err := os.Symlink(to, filepath.Join(s.root, name)); err != nil {
				t.Fatal(err)
			}
		}
		for _, follow := range []bool{false, true} {
			var rewritten atomic.Pointer[string]
			ts := s.serve(m, &Files{AllowSymlinksOutsideRoot: follow, PathRewrite: func(ctx *fasthttp.RequestCtx) []byte {
				if path := rewritten.Load(); path != nil {
					return []byte(*path)
				}
				return ctx.Path()
			}})
			c := ts.dial()
			status := 404
			if follow {
				status = 200
			}
			for path, want := range map[string]int{
				"/inside.txt": 200, "/good": 200, "/absolute": status, "/relative": status,
				"/../outside.txt": 404, "/%2e%2e/outside.txt": 404, "/..%2foutside.txt": 404,
			} {
				if resp := c.ask("GET", path); resp.StatusCode != want {
					t.Errorf("follow %v: GET %s: %d, want %d", follow, path, resp.StatusCode, want)
				}
			}
			for _, path := range []string{"/../" + filepath.Base(outside), "/..", "/a/../../x", outside[1:], "inside.txt", ""} {
				rewritten.Store(&path)
				if resp := c.ask("GET", "/"); resp.StatusCode != 404 {
					t.Errorf("follow %v: path %q: %d, want 404", follow, path, resp.StatusCode)
				}
			}
		}
	})
}

func TestFilesConditions(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := newSite(t)
		s.write("file.txt", "0123456789")
		at := s.age("file.txt", time.Hour)
		c := s.serve(m, &Files{}).dial()
		first := c.ask("GET", "/file.txt")
		etag, modified := first.Header.Get("ETag"), first.Header.Get("Last-Modified")
		if etag == "" || modified != at.UTC().Format(http.TimeFormat) || first.Header.Get("Accept-Ranges") != "bytes" {
			t.Fatalf("ETag %q, Last-Modified %q", etag, modified)
		}
		before, after := at.Add(-time.Minute).UTC().Format(http.TimeFormat), at.Add(time.Minute).UTC().Format(http.TimeFormat)
		for _, want := range []struct {
			fields string // separated by |
			status int
			body   string
			part   string // Content-Range
		}{
			{"If-None-Match: " + etag, 304, "", ""},
			{"If-None-Match: W/" + etag, 304, "", ""},
			{`If-None-Match: "x", ` + etag, 304, "", ""},
			{"If-None-Match: *", 304, "", ""},
			{`If-None-Match: "x"`, 200, "0123456789", ""},
			{`If-None-Match: "x"|If-Modified-Since: ` + after, 200, "0123456789", ""},
			{"If-Modified-Since: " + modified, 304, "", ""},
			{"If-Modified-Since: " + after, 304, "", ""},
			{"If-Modified-Since: " + before, 200, "0123456789", ""},
			{"If-Modified-Since: yesterday", 200, "0123456789", ""},
			{"If-Match: " + etag, 200, "0123456789", ""},
			{"If-Match: *", 200, "0123456789", ""},
			{"If-Match: W/" + etag, 412, "Precondition Failed", ""},
			{`If-Match: "x"`, 412, "Precondition Failed", ""},
			{"If-Unmodified-Since: " + before, 412, "Precondition Failed", ""},
			{"If-Unmodified-Since: " + modified, 200, "0123456789", ""},
			{"Range: bytes=2-4", 206, "234", "bytes 2-4/10"},
			{"Range: bytes=7-", 206, "789", "bytes 7-9/10"},
			{"Range: bytes=-3", 206, "789", "bytes 7-9/10"},
			{"Range: bytes=-30", 206, "0123456789", "bytes 0-9/10"},
			{"Range: bytes=5-99999999999999999999", 206, "56789", "bytes 5-9/10"},
			{"Range: bytes=10-", 416, "Range Not Satisfiable", "bytes */10"},
			{"Range: bytes=-0", 416, "Range Not Satisfiable", "bytes */10"},
			{"Range: bytes=4-2", 200, "0123456789", ""},
			{"Range: bytes=x-2", 200, "0123456789", ""},
			{"Range: lines=1-2", 200, "0123456789", ""},
			{"Range: bytes=0-1,4-5", 200, "0123456789", ""},
			{"Range: bytes=2-4|If-Range: " + etag, 206, "234", "bytes 2-4/10"},
			{"Range: bytes=2-4|If-Range: " + modified, 206, "234", "bytes 2-4/10"},
			{`Range: bytes=2-4|If-Range: "x"`, 200, "0123456789", ""},
			{"Range: bytes=2-4|If-Range: W/" + etag, 200, "0123456789", ""},
			{"Range: bytes=2-4|If-Range: " + before, 200, "0123456789", ""},
			{"Range: bytes=2-4|If-None-Match: " + etag, 304, "", ""},
		} {
			resp := c.ask("GET", "/file.txt", strings.Split(want.fields, "|")...)
			if resp.StatusCode != want.status || !strings.HasPrefix(resp.body, want.body[:min(len(want.body), 9)]) && want.status != 416 ||
				want.status < 300 && resp.body != want.body || resp.Header.Get("Content-Range") != want.part {
				t.Errorf("%s: %d %q, part %q; want %d %q, part %q", want.fields, resp.StatusCode, resp.body,
					resp.Header.Get("Content-Range"), want.status, want.body, want.part)
			}
			if want.status == 304 && resp.Header.Get("ETag") != etag {
				t.Errorf("%s: 304 with ETag %q", want.fields, resp.Header.Get("ETag"))
			}
		}
		if resp := c.ask("HEAD", "/file.txt", "Range: bytes=2-4"); resp.StatusCode != 200 || resp.ContentLength != 10 {
			t.Errorf("HEAD with Range: %d, length %d", resp.StatusCode, resp.ContentLength)
		}
	})
}

func TestFilesPrecompressed(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := newSite(t)
		for _, name := range []string{"a.js", "a.js.br", "a.js.gz", "a.js.zst", "b.js", "b.js.gz", "c.js", "c.js.gz"} {
			s.write(name, name)
		}
		s.age("a.js", time.Hour)
		s.age("b.js", time.Hour)
		s.age("c.js.gz", time.Hour) // older than c.js
		c := s.serve(m, &Files{Precompressed: true}).dial()
		tags := map[string]string{} // of each path's representations: another file may have the same
		for _, want := range []struct{ path, accept, coding string }{
			{"a.js", "", ""},
			{"a.js", "br, gzip, zstd", "br"},
			{"a.js", "gzip;q=1, br;q=0.5", "gzip"},
			{"a.js", "zstd", "zstd"},
			{"a.js", "*", "br"},
			{"a.js", "*, br;q=0", "zstd"},
			{"a.js", "gzip;q=0.5, identity", ""},
			{"a.js", "gzip;q=0", ""},
			{"b.js", "br, gzip", "gzip"},
			{"b.js", "br", ""},
			{"c.js", "gzip", ""},
		} {
			body := want.path
			if want.coding != "" {
				body += map[string]string{"br": ".br", "zstd": ".zst", "gzip": ".gz"}[want.coding]
			}
			resp := c.ask("GET", "/"+want.path, "Accept-Encoding: "+want.accept)
			if resp.body != body || resp.Header.Get("Content-Encoding") != want.coding || resp.Header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s for %q: %q, coding %q, Vary %q; want %q", want.path, want.accept, resp.body,
					resp.Header.Get("Content-Encoding"), resp.Header.Get("Vary"), body)
			}
			if !strings.Contains(resp.Header.Get("Content-Type"), "javascript") {
				t.Errorf("%s: type %q", want.path, resp.Header.Get("Content-Type"))
			}
			etag := resp.Header.Get("ETag")
			if other := tags[want.path+etag]; other != "" && other != body {
				t.Errorf("%s and %s have the tag %s", body, other, etag)
			}
			tags[want.path+etag] = body
			if r := c.ask("GET", "/"+want.path, "Accept-Encoding: "+want.accept, "If-None-Match: "+etag); r.StatusCode != 304 {
				t.Errorf("%s for %q with its tag: %d", want.path, want.accept, r.StatusCode)
			}
		}
	})
}

// TestFilesChange: a change is noticed once what was known is too old, and a file
// that was removed does not stay open.
func TestFilesChange(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := newSite(t)
		s.write("file.txt", "one")
		ts := s.serve(m, &Files{CacheDuration: 20 * time.Millisecond})
		c := ts.dial()
		if resp := c.ask("GET", "/file.txt"); resp.body != "one" {
			t.Fatalf("%q", resp.body)
		}
		s.write("file.txt", "three")
		eventually(t, "the change", func() bool { return c.ask("GET", "/file.txt").body == "three" })
		os.Remove(filepath.Join(s.root, "file.txt"))
		eventually(t, "the removal", func() bool { return c.ask("GET", "/file.txt").StatusCode == 404 })
		eventually(t, "the close", func() bool { return openBelow(t, s.root) == 0 })
		s.write("file.txt", "four")
		if resp := c.ask("GET", "/file.txt"); resp.body != "four" { // what is not there is not kept
			t.Errorf("%q", resp.body)
		}
	})
}

// openBelow counts the descriptors of this process that lie below root.
func openBelow(t *testing.T, root string) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, root+"/") {
			n++
		}
	}
	return n
}

// TestFilesTruncated: of a file that becomes shorter meanwhile nobody gets a
// wrong end.
func TestFilesTruncated(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := newSite(t)
		const size = 16 << 20
		s.write("file.bin", varied(size))
		ts := s.serve(m, &Files{})
		c := ts.dial()
		c.send("GET /file.bin HTTP/1.1\r\nHost: test\r\n\r\n")
		if _, err := c.r.Peek(1000); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(s.root, "file.bin"), 1000); err != nil {
			t.Fatal(err)
		}
		resp, err := c.tryResponse("GET")
		if err == nil || len(resp.body) >= size {
			t.Errorf("%d octets and no error", len(resp.body))
		}
		eventually(t, "the log", func() bool { return ts.log.contains("shorter") })
	})
}

// TestFilesSlowReader: while clients do not read, others are served, and when they
// go everything is given back.
func TestFilesSlowReader(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := newSite(t)
		const size = 16 << 20
		s.write("file.bin", varied(size))
		s.write("small.txt", "small")
		ts := s.serve(m, &Files{CacheDuration: -1})
		var slow []*client
		for range 10 {
			c := ts.dial()
			c.send("GET /file.bin HTTP/1.1\r\nHost: test\r\n\r\n")
			slow = append(slow, c)
		}
		for _, c := range slow {
			if _, err := c.r.Peek(1000); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			if _, body := ts.get("/small.txt"); body != "small" {
				t.Errorf("%q", body)
			}
		}
		if r := slow[0].response("GET"); r.body != varied(size) {
			t.Errorf("%d octets", len(r.body))
		}
		for _, c := range slow[1:] {
			c.reset()
		}
		slow[0].Close()
		eventually(t, "every connection's end", func() bool { return ts.GetOpenConnectionsCount() == 0 })
		eventually(t, "every file's close", func() bool { return openBelow(t, s.root) == 0 })
	})
}

// TestFilesDrain: a file that is being sent when the server shuts down arrives
// whole.
func TestFilesDrain(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := newSite(t)
		const size = 16 << 20
		s.write("file.bin", varied(size))
		ts := s.serve(m, &Files{})
		c := ts.dial()
		c.send("GET /file.bin HTTP/1.1\r\nHost: test\r\n\r\n")
		if _, err := c.r.Peek(1000); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- ts.Shutdown() }()
		eventually(t, "the shutdown", func() bool {
			nc, err := net.Dial("tcp", ts.addr)
			if err == nil {
				nc.Close()
			}
			return err != nil
		})
		if r := c.response("GET"); r.body != varied(size) {
			t.Errorf("%d octets", len(r.body))
		}
		c.wantEOF()
		c.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := openBelow(t, s.root); n != 0 {
			t.Errorf("%d files open after the shutdown", n)
		}
	})
}

// TestFilesTLS: the same in the slow lane.
func TestFilesTLS(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := newSite(t)
		s.write("file.bin", varied(1<<20))
		f := &Files{Root: s.root}
		addr, roots := serveTLSTest(t, m, &fasthttp.Server{Handler: f.Handler()}, nil)
		nc, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots})
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, nc)
		for range 3 {
			if resp := c.ask("GET", "/file.bin"); resp.body != varied(1<<20) {
				t.Errorf("%d octets", len(resp.body))
			}
			if resp := c.ask("GET", "/file.bin", "Range: bytes=1000-1999"); resp.body != varied(1 << 20)[1000:2000] {
				t.Errorf("%d octets of a part", len(resp.body))
			}
		}
	})
}

// TestFilesNotFound: the user's own answer, which may panic.
func TestFilesNotFound(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := newSite(t).serve(m, &Files{PathNotFound: func(ctx *fasthttp.RequestCtx) {
			if string(ctx.Path()) == "/panic" {
				panic("on purpose")
			}
			ctx.WriteString("no " + string(ctx.Path()))
		}})
		if status, body := ts.get("/x"); status != 404 || body != "no /x" {
			t.Errorf("%d %q", status, body)
		}
		if status, _ := ts.get("/panic"); status != 500 {
			t.Errorf("a panic: %d", status)
		}
		if status, body := ts.get("/y/"); status != 404 || body != "no /y/" {
			t.Errorf("%d %q", status, body)
		}
	})
}

// TestFilesElsewhere: on another server the handler is fasthttp.FS.
func TestFilesElsewhere(t *testing.T) {
	s := newSite(t)
	s.write("file.txt", "0123456789")
	var ctx fasthttp.RequestCtx
	ctx.Request.SetRequestURI("/file.txt")
	FileServer(s.root)(&ctx)
	var b bytes.Buffer
	if err := ctx.Response.BodyWriteTo(&b); err != nil || b.String() != "0123456789" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

// TestFilesMany: more files than are kept open, asked for by many at once.
func TestFilesMany(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := newSite(t)
		const files = 50
		for i := range files {
			s.write(strconv.Itoa(i)+".txt", varied(100+i*100))
		}
		ts := s.serve(m, &Files{MaxOpen: 10})
		failed := make(chan error, 8)
		for k := range cap(failed) {
			nc, err := net.Dial("tcp", ts.addr)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				defer nc.Close()
				nc.SetDeadline(time.Now().Add(20 * time.Second))
				c := bufio.NewReader(nc)
				for i := range 3 * files {
					i = (i*7 + k) % files
					fmt.Fprintf(nc, "GET /%d.txt HTTP/1.1\r\nHost: test\r\n\r\n", i)
					resp, err := http.ReadResponse(c, nil)
					if err != nil {
						failed <- err
						return
					}
					body, err := io.ReadAll(resp.Body)
					if err != nil || string(body) != varied(100+i*100) {
						failed <- fmt.Errorf("file %d: %d octets, %v", i, len(body), err)
						return
					}
				}
				failed <- nil
			}()
		}
		for range cap(failed) {
			if err := <-failed; err != nil {
				t.Error(err)
			}
		}
	})
}
