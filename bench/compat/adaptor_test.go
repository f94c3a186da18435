package compat

import (
	"bufio"
	"context"
	"expvar"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/expvarhandler"
	"github.com/valyala/fasthttp/fasthttpadaptor"
	"github.com/valyala/fasthttp/pprofhandler"
)

func handler(h fasthttp.RequestHandler) func(*testing.T) *fasthttp.Server {
	return func(*testing.T) *fasthttp.Server { return &fasthttp.Server{Handler: h} }
}

func TestRouter(t *testing.T) {
	r := router.New()
	r.GET("/", func(ctx *fasthttp.RequestCtx) { ctx.WriteString("root") })
	r.GET("/u/{name}", func(ctx *fasthttp.RequestCtx) { fmt.Fprint(ctx, ctx.UserValue("name")) })
	r.POST("/u/{name}/{rest:*}", func(ctx *fasthttp.RequestCtx) {
		fmt.Fprintf(ctx, "%v %v %s", ctx.UserValue("name"), ctx.UserValue("rest"), ctx.PostBody())
	})
	r.PanicHandler = func(ctx *fasthttp.RequestCtx, v any) { ctx.Error(fmt.Sprint("caught ", v), 500) }
	r.GET("/panic", func(*fasthttp.RequestCtx) { panic("it") })
	run(t, false, handler(r.Handler), func(t *testing.T, addr string) {
		ask(t, "GET", addr, "/", "").want(t, 200, "root")
		ask(t, "GET", addr, "/u/me", "").want(t, 200, "me")
		ask(t, "POST", addr, "/u/me/a/b", "body").want(t, 200, "me a/b body")
		ask(t, "GET", addr, "/panic", "").want(t, 500, "caught it")
		ask(t, "GET", addr, "/nowhere", "").want(t, 404, "Not Found")
		if r := ask(t, "PUT", addr, "/u/me", ""); r.StatusCode != 405 || !strings.Contains(r.Header.Get("Allow"), "GET") {
			t.Errorf("got %d %v", r.StatusCode, r.Header)
		}
		if r := ask(t, "GET", addr, "/u/me/", ""); r.StatusCode != 301 {
			t.Errorf("got %d", r.StatusCode)
		}
	})
}

func TestFS(t *testing.T) {
	root := t.TempDir()
	for name, content := range map[string]string{"index.html": "<p>index", "a.txt": strings.Repeat("0123456789", 30000), "sub/b.txt": "b"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fs := &fasthttp.FS{
		Root: root, IndexNames: []string{"index.html"}, GenerateIndexPages: true, AcceptByteRange: true, Compress: true,
		CompressRoot: t.TempDir(), PathNotFound: func(ctx *fasthttp.RequestCtx) { ctx.Error("no such file", 404) },
	}
	run(t, true, handler(fs.NewRequestHandler()), func(t *testing.T, addr string) {
		ask(t, "GET", addr, "/", "").want(t, 200, "<p>index")
		r := ask(t, "GET", addr, "/a.txt", "").want(t, 200, strings.Repeat("0123456789", 30000))
		ask(t, "GET", addr, "/a.txt", "", "If-Modified-Since: "+r.Header.Get("Last-Modified")).want(t, 304, "")
		ask(t, "GET", addr, "/a.txt", "", "Range: bytes=12-15").want(t, 206, "2345")
		ask(t, "GET", addr, "/a.txt", "", "Range: bytes=-3").want(t, 206, "789")
		if r := ask(t, "GET", addr, "/a.txt", "", "Range: bytes=900000-"); r.StatusCode != 416 {
			t.Errorf("got %d", r.StatusCode)
		}
		if r := ask(t, "GET", addr, "/a.txt", "", "Accept-Encoding: gzip"); r.Header.Get("Content-Encoding") != "gzip" || len(r.body) > 10000 {
			t.Errorf("got %v, %d octets", r.Header, len(r.body))
		}
		if r := ask(t, "HEAD", addr, "/a.txt", ""); r.ContentLength != 300000 {
			t.Errorf("HEAD: length %d", r.ContentLength)
		}
		if r := ask(t, "GET", addr, "/sub/", ""); !strings.Contains(r.body, "b.txt") {
			t.Errorf("the index page is %q", r.body)
		}
		ask(t, "GET", addr, "/none", "").want(t, 404, "no such file")
		if r := ask(t, "GET", addr, "/..%2f..%2fetc/passwd", ""); r.StatusCode == 200 {
			t.Errorf("got out of the root: %q", r.body)
		}
	})
}

// stdMux is a net/http application. Events waits for next after each event.
func stdMux(next <-chan struct{}, gone chan<- error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /echo/{name}", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		w.Header().Set("X-Host", r.Host)
		w.WriteHeader(201)
		fmt.Fprint(w, r.PathValue("name"), " ", string(b), " ", r.FormValue("q"), " ", err)
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			<-next
		}
	})
	mux.HandleFunc("/wait", func(_ http.ResponseWriter, r *http.Request) {
		next := r.Context()
		<-next.Done()
		gone <- next.Err()
	})
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, _ *http.Request) {
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		defer nc.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\n")
		rw.Flush()
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			rw.WriteString("std " + line)
			rw.Flush()
		}
	})
	return mux
}

func TestAdaptor(t *testing.T) {
	next, gone := make(chan struct{}), make(chan error, 1)
	run(t, true, handler(fasthttpadaptor.NewFastHTTPHandler(stdMux(next, gone))), func(t *testing.T, addr string) {
		r := ask(t, "POST", addr, "/echo/me?q=1", "body").want(t, 201, "me body 1 <nil>")
		if r.Header.Get("X-Host") != addr {
			t.Errorf("Host was %q", r.Header.Get("X-Host"))
		}
		ask(t, "GET", addr, "/none", "").want(t, 404, "404 page not found\n")
		wantEvents(t, addr, "/events", next, "0", "1", "2")

		req, _ := http.NewRequest("GET", "http://"+addr+"/wait", nil)
		ctx, cancel := context.WithCancel(context.Background())
		go func() { client.Do(req.WithContext(ctx)) }()
		cancel() // before, while or after it is sent: then nothing waits
		select {
		case <-gone:
		default:
		}

		lines(t, addr, "/hijack", "std")
	})
}

// lines upgrades to a protocol that answers lines with lines, the first of
// which leaves together with the request.
func lines(t *testing.T, addr, path, prefix string) {
	t.Helper()
	nc := dial(t, addr)
	fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\nfirst\n", path)
	r := bufio.NewReader(nc)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("got %v, %v", resp, err)
	}
	for _, line := range []string{"first\n", "second\n", "third\n"} {
		if line != "first\n" {
			io.WriteString(nc, line)
		}
		if got, err := r.ReadString('\n'); err != nil || got != prefix+" "+line {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

func TestProfilesAndVariables(t *testing.T) {
	if expvar.Get("compat") == nil {
		expvar.NewString("compat").Set("here")
	}
	h := func(ctx *fasthttp.RequestCtx) {
		if strings.HasPrefix(string(ctx.Path()), "/debug/pprof") {
			pprofhandler.PprofHandler(ctx)
		} else {
			expvarhandler.ExpvarHandler(ctx)
		}
	}
	run(t, true, handler(h), func(t *testing.T, addr string) {
		if r := ask(t, "GET", addr, "/debug/pprof/cmdline", ""); r.StatusCode != 200 || !strings.Contains(r.body, "test") {
			t.Errorf("got %d %q", r.StatusCode, r.body)
		}
		if r := ask(t, "GET", addr, "/debug/pprof/goroutine?debug=1", ""); r.StatusCode != 200 || !strings.HasPrefix(r.body, "goroutine profile:") {
			t.Errorf("got %d %.100q", r.StatusCode, r.body)
		}
		if r := ask(t, "GET", addr, "/vars?r=compat", ""); r.StatusCode != 200 || !strings.Contains(r.body, `"compat": "here"`) {
			t.Errorf("got %d %q", r.StatusCode, r.body)
		}
	})
}
