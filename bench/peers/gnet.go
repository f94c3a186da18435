package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"
)

// gnetServer speaks as much HTTP as the routes need, and no more: gnet brings
// none. It reads the request line and Content-Length and checks nothing else,
// so its figures are those of a TCP framework, not of an HTTP server.
type gnetServer struct {
	gnet.BuiltinEventEngine
	root *os.Root
	date atomic.Pointer[string] // the Date line, renewed once a second
}

func serveGnet(c config) error {
	s := new(gnetServer)
	if c.root != "" {
		root, err := os.OpenRoot(c.root)
		if err != nil {
			return err
		}
		s.root = root
	}
	s.renewDate()
	return gnet.Run(s, "tcp://"+c.addr, gnet.WithNumEventLoop(runtime.GOMAXPROCS(0)),
		gnet.WithTicker(true), gnet.WithLogLevel(logging.ErrorLevel))
}

func (s *gnetServer) renewDate() {
	line := time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
	s.date.Store(&line)
}

// OnTick renews the date.
func (s *gnetServer) OnTick() (time.Duration, gnet.Action) {
	s.renewDate()
	return time.Second, gnet.None
}

// OnTraffic answers every whole request that has arrived.
func (s *gnetServer) OnTraffic(c gnet.Conn) gnet.Action {
	for {
		data, _ := c.Peek(-1)
		head, rest, whole := bytes.Cut(data, []byte("\r\n\r\n"))
		if !whole {
			if len(data) > 64<<10 {
				return gnet.Close
			}
			return gnet.None
		}
		line, fields, _ := bytes.Cut(head, []byte("\r\n"))
		length := contentLength(fields)
		if length > maxBody {
			return gnet.Close
		}
		if len(rest) < length {
			return gnet.None
		}
		action := s.respond(c, string(line), fields, rest[:length])
		if _, err := c.Discard(len(head) + 4 + length); err != nil || action != gnet.None {
			return gnet.Close
		}
	}
}

// respond answers one request. The octets belong to gnet and are not kept.
func (s *gnetServer) respond(c gnet.Conn, line string, fields, body []byte) gnet.Action {
	word := strings.Fields(line)
	if len(word) != 3 {
		return gnet.Close
	}
	last := word[2] == "HTTP/1.0" || strings.EqualFold(field(fields, "connection"), "close")
	path, query, _ := strings.Cut(word[1], "?")
	var out []byte
	switch path {
	case "/", "/plaintext":
		out = s.message(200, textType, hello, last)
	case "/10k":
		out = s.message(200, binaryType, tenK, last)
	case "/echo":
		out = s.message(200, field(fields, "content-type"), body, last)
	case "/slow":
		ms, ok := slowFor(strconv.Atoi(strings.TrimPrefix(query, "ms=")))
		if !ok {
			out = s.message(400, textType, []byte("bad ms\n"), last)
			break
		}
		go func() { // one request at a time on such connections, so order is kept
			_ = c.AsyncWrite(s.message(200, textType, []byte(wait(ms)), last), func(c gnet.Conn, _ error) error {
				if last {
					return c.Close()
				}
				return nil
			})
		}()
		return gnet.None
	default:
		out = s.file(strings.TrimPrefix(path, "/"), last)
	}
	if _, err := c.Write(out); err != nil || last {
		return gnet.Close
	}
	return gnet.None
}

// file answers with a file under the root, read from the page cache each time.
func (s *gnetServer) file(name string, last bool) []byte {
	if s.root != nil {
		if text, err := s.root.ReadFile(name); err == nil {
			return s.message(200, binaryType, text, last)
		}
	}
	return s.message(404, textType, []byte(notFound), last)
}

func (s *gnetServer) message(code int, kind string, body []byte, last bool) []byte {
	out := make([]byte, 0, 160+len(body))
	out = fmt.Appendf(out, "HTTP/1.1 %d %s\r\nServer: gnet\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n",
		code, map[int]string{200: "OK", 400: "Bad Request", 404: "Not Found"}[code], *s.date.Load(), kind, len(body))
	if last {
		out = append(out, "Connection: close\r\n"...)
	}
	out = append(out, "\r\n"...)
	return append(out, body...)
}

func contentLength(fields []byte) int {
	n, err := strconv.Atoi(field(fields, "content-length"))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// field returns the value of a header field, "" if it is not there.
func field(fields []byte, name string) string {
	for line := range bytes.Lines(fields) {
		if key, value, ok := bytes.Cut(line, []byte(":")); ok && strings.EqualFold(string(key), name) {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}
