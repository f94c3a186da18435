package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/httpcore"
)

// serve serves on a free port for a test's length and returns the address.
func serve(t *testing.T, s *httpcore.Server) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Shutdown() })
	return ln.Addr().String()
}

// TestForward: what concerns one connection only stays there, the rest passes.
func TestForward(t *testing.T) {
	seen := make(chan string, 1)
	upstream := serve(t, httpcore.New(&fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		if ctx.QueryArgs().Has("slow") {
			time.Sleep(200 * time.Millisecond)
		}
		select {
		case seen <- ctx.Request.Header.String() + string(ctx.PostBody()):
		default:
		}
		ctx.Response.Header.Set("X-Up", "yes")
		ctx.Response.Header.Set("Keep-Alive", "timeout=5")
		ctx.SetConnectionClose()
		ctx.SetStatusCode(201)
		ctx.WriteString("from upstream")
	}}))
	client := &fasthttp.HostClient{Addr: upstream}
	s := httpcore.New(&fasthttp.Server{Handler: forward(client, 100*time.Millisecond)})
	client.DialTimeout = s.Dialer().DialTimeout
	addr := serve(t, s)

	req, _ := http.NewRequest("POST", "http://"+addr+"/a?b=c", strings.NewReader("body"))
	req.Header.Set("Connection", "X-Secret, keep-alive")
	req.Header.Set("X-Secret", "1")
	req.Header.Set("X-Kept", "2")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 201 || string(body) != "from upstream" || resp.Header.Get("X-Up") != "yes" ||
		resp.Header.Get("Keep-Alive") != "" || resp.Close {
		t.Errorf("%v %v %q, close %v", resp.Status, resp.Header, body, resp.Close)
	}
	got := <-seen
	for want, present := range map[string]bool{
		"POST /a?b=c HTTP/1.1": true, "X-Kept: 2": true, "X-Forwarded-For: 127.0.0.1": true, "body": true,
		"X-Secret": false, "Connection": false,
	} {
		if strings.Contains(got, want) != present {
			t.Errorf("the upstream got %q: want %q in it: %v", got, want, present)
		}
	}
	for path, want := range map[string]int{"/quick": 200, "/?slow": 504} {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %v, want %d", path, resp.Status, want)
		}
	}
}
