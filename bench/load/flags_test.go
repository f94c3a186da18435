package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringcore/ringcore/bench/load/gen"
)

func TestFlags(t *testing.T) {
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := parseFlags(strings.Fields("-c 5 -p 3 -rate 10.5 -d 2s -w 1s -n 7 -H A:b -H C:d -body " + body +
		" -status 201 -length 0 -timeout 3s -driver epoll -loops 2 -connecting 9 -sources 4 -remote -json - -curve http://127.0.0.1:1/a?b=c"))
	if err != nil {
		t.Fatal(err)
	}
	g := c.gen
	r := g.Requests[0]
	if g.Target != "http://127.0.0.1:1" || g.Connections != 5 || g.Pipelining != 3 || g.Rate != 10.5 || g.Duration != 2*time.Second ||
		g.Warmup != time.Second || g.Count != 7 || g.Timeout != 3*time.Second || g.Driver != "epoll" || g.Loops != 2 ||
		g.Connecting != 9 || g.Sources != 4 || !g.Remote || !g.Curve || c.json != "-" {
		t.Errorf("%+v", c)
	}
	if r.Method != "POST" || r.Path != "/a?b=c" || len(r.Header) != 2 || string(r.Body) != "abc" || r.Status != 201 || *r.Length != 0 {
		t.Errorf("%+v", r)
	}
	if c, err = parseFlags([]string{"http://localhost"}); err != nil || c.gen.Requests[0].Path != "/" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestMix(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "mix.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "b"), []byte("file"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(`[{"path": "/a", "weight": 3, "headers": ["X: y"], "status": 204, "length": 0},
		{"method": "PUT", "path": "/b", "body_file": "b"}, {"method": "POST", "path": "/c", "body": "text"}]`)
	c, err := parseFlags([]string{"-mix", file, "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	r := c.gen.Requests
	if len(r) != 3 || r[0].Weight != 3 || r[0].Header[0] != "X: y" || r[0].Status != 204 || *r[0].Length != 0 || r[0].Body != nil ||
		r[1].Method != "PUT" || string(r[1].Body) != "file" || string(r[2].Body) != "text" {
		t.Errorf("%+v", r)
	}
	for _, text := range []string{``, `{}`, `[]`, `[{"method":"GET"}]`, `[{"path":"/","x":1}]`, `[{"path":"/"}] []`,
		`[{"path":"/","body":"a","body_file":"b"}]`, `[{"path":"/","body_file":"missing"}]`} {
		write(text)
		if c, err := parseFlags([]string{"-mix", file, "http://127.0.0.1:1"}); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v", text, c.gen.Requests, err)
		}
	}
}

// Wrong flags are one line and status 2; a run that cannot begin is status 1.
func TestWrongFlags(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		want   string
	}{
		{"-h", 0, "Usage"}, {"", 2, "URL"}, {"http://127.0.0.1:1 x", 2, "URL"}, {"127.0.0.1:80", 2, "URL"}, {"-c x http://127.0.0.1:1", 2, "-c"},
		{"-body /nonexistent http://127.0.0.1:1", 2, "nonexistent"}, {"-mix /nonexistent http://127.0.0.1:1", 2, "nonexistent"},
		{"-mix x http://127.0.0.1:1/path", 2, "path"}, {"-length x http://127.0.0.1:1", 2, "length"},
		{"http://192.0.2.1/", 1, "loopback"}, {"-c 0 http://192.0.2.1/", 1, "loopback"}, {"-c -1 http://127.0.0.1:1", 1, "connections"},
		{"-method A/B http://127.0.0.1:1", 1, "token"}, {"-driver x http://127.0.0.1:1", 1, "x"},
	} {
		var out, err bytes.Buffer
		if status := run(strings.Fields(c.args), &out, &err); status != c.status {
			t.Errorf("%q: status %d, want %d: %s", c.args, status, c.status, err.String())
		}
		text := err.String()
		if c.status == 0 {
			text = out.String()
		} else if strings.Count(text, "\n") != 1 || out.Len() > 0 {
			t.Errorf("%q: %q on standard error, %q on standard output", c.args, text, out.String())
		}
		if !strings.Contains(text, c.want) {
			t.Errorf("%q: %q does not say %q", c.args, text, c.want)
		}
	}
}

func TestText(t *testing.T) {
	r := &gen.Report{Target: "http://h", Connections: 3, Pipelining: 2, Mode: "open", Rate: 1000, Requests: 10, DurationS: 1, Unsent: 99,
		Statuses: map[string]int64{"200": 10, "500": 1}, Errors: map[string]int64{"status": 1}, ClientSaturated: true, Interrupted: true,
		LatencyUs: gen.Latency{Count: 10, P50: 12.34, P99: 1234.5, Max: 2.5e6}, Mix: []gen.Part{{Name: "GET /"}, {Name: "GET /x"}}}
	var b bytes.Buffer
	writeText(&b, r)
	for _, want := range []string{"http://h, 3 connections, 2 pipelined, one for each request, open loop, 1000 requests/s", "p50 12.3µs", "p99 1.23ms", "max 2.50s",
		"200: 10, 500: 1", "ERRORS    status: 1", "99 requests were due", "the client was the bottleneck", "interrupted", "GET /x"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
