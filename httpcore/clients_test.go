//go:build linux

package httpcore

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// clientHandler is what other people's clients talk to.
func clientHandler(ctx *fasthttp.RequestCtx) {
	switch string(ctx.Path()) {
	case "/hello":
		hello(ctx)
	case "/big":
		ctx.Write(bigBody[:3<<20])
	case "/chunks":
		ctx.SetBodyStream(bytes.NewReader(bigBody[:1<<20]), -1)
	case "/back":
		ctx.Write(ctx.PostBody())
	default:
		ctx.NotFound()
	}
}

func TestNetHTTPClient(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: clientHandler})
		tr := &http.Transport{MaxConnsPerHost: 8, MaxIdleConnsPerHost: 8}
		defer tr.CloseIdleConnections()
		hc := &http.Client{Transport: tr, Timeout: 20 * time.Second}
		fetch := func(method, path string, body io.Reader, want []byte) error {
			req, _ := http.NewRequest(method, "http://"+ts.addr+path, body)
			resp, err := hc.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err == nil && (resp.StatusCode != 200 || !bytes.Equal(b, want)) {
				err = fmt.Errorf("%s %s: %d with %d bytes, want %d", method, path, resp.StatusCode, len(b), len(want))
			}
			return err
		}
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				body := bigBody[:i*10000]
				for range rounds {
					for _, err := range []error{
						fetch("GET", "/hello", nil, []byte("Hello, World!")),
						fetch("POST", "/back", bytes.NewReader(body), body),
						fetch("POST", "/back", io.MultiReader(bytes.NewReader(body)), body), // chunked
						fetch("GET", "/chunks", nil, bigBody[:1<<20]),
					} {
						if err != nil {
							t.Error(err)
							return
						}
					}
				}
			})
		}
		wg.Wait()
	})
}

// tool runs a program with a limit of time and returns what it prints; the
// test is skipped where it is not installed.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%.2000s", name, err, out)
	}
	return string(out)
}

func TestCurl(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: clientHandler})
		u := "http://" + ts.addr
		curl := func(args ...string) string {
			return tool(t, "curl", append([]string{"-sS", "--max-time", "20"}, args...)...)
		}
		if s := curl(u+"/hello", u+"/hello"); s != "Hello, World!Hello, World!" {
			t.Fatalf("got %q", s)
		}
		if s := curl("--http1.0", u+"/chunks"); s != string(bigBody[:1<<20]) {
			t.Fatalf("HTTP/1.0: got %d bytes", len(s))
		}
		if s := curl(u + "/chunks"); s != string(bigBody[:1<<20]) {
			t.Fatalf("chunked: got %d bytes", len(s))
		}
		body := strings.Repeat("x", 2<<20) // curl waits for 100 Continue here
		for _, te := range []string{"X-None: 1", "Transfer-Encoding: chunked"} {
			cmd := exec.Command("curl", "-sS", "--max-time", "20", "-H", te, "-H", "Expect: 100-continue", "--data-binary", "@-", u+"/back")
			cmd.Stdin = strings.NewReader(body)
			if out, err := cmd.Output(); err != nil || string(out) != body {
				t.Fatalf("%s: got %d bytes, %v", te, len(out), err)
			}
		}
		if s := curl("-I", u+"/big"); !strings.Contains(s, "Content-Length: 3145728") {
			t.Fatalf("HEAD: got %q", s)
		}
	})
}

func TestWrk(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: clientHandler})
		for _, path := range []string{"/hello", "/big"} {
			out := tool(t, "wrk", "-t1", "-c16", "-d1s", "http://"+ts.addr+path)
			if strings.Contains(out, "Non-2xx") || strings.Contains(out, "Socket errors") || strings.Contains(out, " 0 requests") {
				t.Fatalf("%s:\n%s", path, out)
			}
		}
	})
}

func TestH2load(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: clientHandler})
		for _, path := range []string{"/hello", "/chunks"} {
			out := tool(t, "h2load", "--h1", "-n500", "-c10", "-m4", "http://"+ts.addr+path)
			if !strings.Contains(out, "500 succeeded, 0 failed, 0 errored, 0 timeout") || !strings.Contains(out, "500 2xx") {
				t.Fatalf("%s:\n%s", path, out)
			}
		}
	})
}

const nodeScript = `
const u = 'http://' + process.argv[1];
const body = 'x'.repeat(100000);
async function one() {
  let r = await fetch(u + '/hello');
  if (await r.text() !== 'Hello, World!') throw 'hello';
  r = await fetch(u + '/back', {method: 'POST', body});
  if (await r.text() !== body) throw 'back';
  const stream = new ReadableStream({start(c) { c.enqueue(new TextEncoder().encode('ab')); c.enqueue(new TextEncoder().encode('cd')); c.close(); }});
  r = await fetch(u + '/back', {method: 'POST', body: stream, duplex: 'half'});
  if (await r.text() !== 'abcd') throw 'stream';
  r = await fetch(u + '/chunks');
  if ((await r.arrayBuffer()).byteLength !== 1 << 20) throw 'chunks';
}
(async () => {
  for (let i = 0; i < 5; i++) await Promise.all(Array.from({length: 10}, one));
  console.log('all well');
})().catch(e => { console.error(e); process.exit(1); });
`

func TestNodeFetch(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: clientHandler})
		if out := tool(t, "node", "-e", nodeScript, ts.addr); !strings.Contains(out, "all well") {
			t.Fatalf("got %q", out)
		}
	})
}
