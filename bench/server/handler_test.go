package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// call runs h on one request without a network.
func call(h fasthttp.RequestHandler, method, uri, kind, body string) *fasthttp.RequestCtx {
	var req fasthttp.Request
	req.Header.SetMethod(method)
	req.SetRequestURI(uri)
	req.Header.SetHost("test")
	if kind != "" {
		req.Header.SetContentType(kind)
	}
	req.SetBodyString(body)
	ctx := new(fasthttp.RequestCtx)
	ctx.Init(&req, nil, nil)
	h(ctx)
	return ctx
}

func get(h fasthttp.RequestHandler, uri string) *fasthttp.RequestCtx {
	return call(h, "GET", uri, "", "")
}

func TestRoutes(t *testing.T) {
	h := newHandler(nil)
	for _, c := range []struct {
		method, uri, kind, send string
		code                    int
		wantKind, want          string
	}{
		{"GET", "/", "", "", 200, "text/plain", "Hello, World!"},
		{"GET", "/plaintext", "", "", 200, "text/plain", "Hello, World!"},
		{"GET", "/json", "", "", 200, "application/json", `{"message":"Hello, World!"}`},
		{"GET", "/bytes?n=0", "", "", 200, binaryType, ""},
		{"GET", "/bytes?n=18", "", "", 200, binaryType, "0123456789abcdef01"},
		{"POST", "/echo", "text/x-test; a=b", "a\x00b\r\n", 200, "text/x-test; a=b", "a\x00b\r\n"},
		{"POST", "/echo", "", "", 200, binaryType, ""},
		{"GET", "/echo", "", "", 405, "text/plain", "method not allowed: want POST\n"},
		{"HEAD", "/echo", "", "", 405, "text/plain", "method not allowed: want POST\n"},
		{"GET", "/slow?ms=0", "", "", 200, "text/plain", "waited 0 ms\n"},
		{"GET", "/status", "", "", 200, "text/plain", "200 OK\n"},
		{"GET", "/status?code=418", "", "", 418, "text/plain", "418 I'm a teapot\n"},
		{"GET", "/status?code=599", "", "", 599, "text/plain", "599 Unknown Status Code\n"},
		{"GET", "/nothing", "", "", 404, "text/plain", "not found\n"},
		{"GET", "/plaintext/", "", "", 404, "text/plain", "not found\n"},
	} {
		t.Run(c.method+c.uri, func(t *testing.T) {
			ctx := call(h, c.method, c.uri, c.kind, c.send)
			res := &ctx.Response
			if res.StatusCode() != c.code || string(res.Header.ContentType()) != c.wantKind ||
				string(res.Body()) != c.want {
				t.Errorf("got %d %s %q, want %d %s %q", res.StatusCode(), res.Header.ContentType(),
					res.Body(), c.code, c.wantKind, c.want)
			}
			allow := string(res.Header.Peek("Allow"))
			if (allow == "POST") != (c.code == 405) {
				t.Errorf("Allow is %q with status %d", allow, c.code)
			}
		})
	}
}

func TestOctets(t *testing.T) {
	h := newHandler(nil)
	for uri, want := range map[string]int{
		"/bytes":          1024,
		"/10k":            10240,
		"/bytes?n=65536":  65536,
		"/bytes?n=65537":  65537,
		"/bytes?n=200001": 200001,
	} {
		res := &get(h, uri).Response
		// as the server writes it, so that the length that it announces counts too
		var wire bytes.Buffer
		if _, err := res.WriteTo(&wire); err != nil {
			t.Fatalf("%s: %v", uri, err)
		}
		head, body, _ := bytes.Cut(wire.Bytes(), []byte("\r\n\r\n"))
		if res.StatusCode() != 200 || len(body) != want {
			t.Errorf("%s: status %d, %d octets, want 200 and %d", uri, res.StatusCode(), len(body), want)
		}
		if !bytes.Contains(head, []byte("Content-Length: "+strconv.Itoa(want))) {
			t.Errorf("%s: no Content-Length of %d in\n%s", uri, want, head)
		}
		for i, b := range body {
			if b != "0123456789abcdef"[i%16] {
				t.Fatalf("%s: octet %d is %q", uri, i, b)
			}
		}
	}

	res := &get(h, "/bytes?n="+strconv.Itoa(maxBytes)).Response
	if !res.IsBodyStream() {
		t.Fatalf("the largest response, %d octets, is held in memory", maxBytes)
	}
	if n, err := io.Copy(io.Discard, res.BodyStream()); n != maxBytes || err != nil {
		t.Errorf("the largest response: %d octets, %v; want %d", n, err, maxBytes)
	}
}

// A reader that asks for odd amounts gets the same octets.
func TestBlockReader(t *testing.T) {
	const n = 3*blockBytes + 5
	r := &blockReader{left: n}
	var got []byte
	for p := make([]byte, 4099); ; {
		k, err := r.Read(p)
		got = append(got, p[:k]...)
		if err == io.EOF {
			break
		}
	}
	if want := bytes.Repeat(block, 4)[:n]; !bytes.Equal(got, want) {
		t.Errorf("read %d octets, not the %d that were wanted", len(got), n)
	}
}

func TestBadNumbers(t *testing.T) {
	h := newHandler(nil)
	for _, uri := range []string{
		"/bytes?n=67108865", "/bytes?n=-1", "/bytes?n=+1", "/bytes?n=", "/bytes?n", "/bytes?n=1k",
		"/bytes?n=1.5", "/bytes?n=99999999999999999999999", "/bytes?n=0x10", "/bytes?n=%00",
		"/slow?ms=60001", "/slow?ms=-1", "/slow?ms=x",
		"/status?code=199", "/status?code=600", "/status?code=100", "/status?code=OK",
	} {
		res := &get(h, uri).Response
		body := string(res.Body())
		if res.StatusCode() != 400 || !strings.HasPrefix(body, "bad ") || strings.Count(body, "\n") != 1 {
			t.Errorf("%s: %d %q, want 400 and one line", uri, res.StatusCode(), body)
		}
	}
}

func TestFiles(t *testing.T) {
	outer := t.TempDir()
	root := filepath.Join(outer, "root")
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(outer, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("secret", "secret")
	write("root/a.txt", "file a")
	write("root/sub/b.txt", "file b")
	write("root/page/index.html", "<p>page")
	write("root/plaintext", "never served: a route has the name")
	if err := os.Symlink("../secret", filepath.Join(root, "link")); err != nil {
		t.Logf("without a symbolic link: %v", err)
	}

	h := newHandler(newFiles(root))
	for uri, want := range map[string]string{
		"/a.txt":         "file a",
		"/sub/b.txt":     "file b",
		"/sub/../a.txt":  "file a",
		"/%61.txt":       "file a",
		"/page/":         "<p>page",
		"/plaintext":     "Hello, World!",
		"/../root/a.txt": "", // normalised to a path inside, which is not there
	} {
		res := &get(h, uri).Response
		if want == "" && res.StatusCode() == 404 {
			continue
		}
		if res.StatusCode() != 200 || string(res.Body()) != want {
			t.Errorf("%s: %d %q, want 200 %q", uri, res.StatusCode(), res.Body(), want)
		}
	}
	for _, uri := range []string{
		"/link", "/../secret", "/%2e%2e/secret", "/..%2fsecret", "/sub/../../secret", "/..%5csecret",
		"/sub%2f..%2f..%2fsecret", "/a.txt%00", "//../secret", "/missing", "/sub", "/sub/",
	} {
		res := &get(h, uri).Response
		body := string(res.Body())
		if res.StatusCode() < 300 || strings.Contains(body, "secret") || strings.Contains(body, "b.txt") {
			t.Errorf("%s: %d %q, want no file and no listing", uri, res.StatusCode(), body)
		}
	}
	res := &call(h, "POST", "/a.txt", "", "x").Response
	if res.StatusCode() != 405 || string(res.Header.Peek("Allow")) != "GET, HEAD" {
		t.Errorf("POST /a.txt: %d, Allow %q, want 405 and GET, HEAD", res.StatusCode(), res.Header.Peek("Allow"))
	}
}

// The routes that benchmarks load must measure the server and not themselves;
// /json serialises for each request, as its rules want it.
func TestNoAllocation(t *testing.T) {
	h := newHandler(nil)
	for _, uri := range []string{"/", "/plaintext", "/10k"} {
		ctx := get(h, uri)
		if n := testing.AllocsPerRun(200, func() {
			ctx.Response.Reset()
			h(ctx)
		}); n != 0 {
			t.Errorf("%s: %v allocations a request, want 0", uri, n)
		}
	}
}
