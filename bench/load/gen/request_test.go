package gen

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRender(t *testing.T) {
	for _, c := range []struct {
		name    string
		request Request
		closing bool
		want    string
	}{
		{"default", Request{}, false, "GET / HTTP/1.1\r\nHost: h:1\r\n\r\n"},
		{"close", Request{Path: "/a?b=c"}, true, "GET /a?b=c HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n\r\n"},
		{"body", Request{Method: "POST", Body: []byte("abc"), Header: []string{"A:b", "C: d "}}, false,
			"POST / HTTP/1.1\r\nHost: h:1\r\nA: b\r\nC: d\r\nContent-Length: 3\r\n\r\nabc"},
		{"empty body", Request{Method: "POST"}, false, "POST / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\n\r\n"},
		{"own host", Request{Header: []string{"host: x", "connection: close"}}, true, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"},
	} {
		wire, err := c.request.render("h:1", c.closing)
		if string(wire) != c.want || err != nil {
			t.Errorf("%s: %q, %v; want %q", c.name, wire, err, c.want)
		}
		got, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(wire))))
		if err != nil {
			t.Errorf("%s: net/http does not read it: %v", c.name, err)
			continue
		}
		if body, _ := io.ReadAll(got.Body); string(body) != string(c.request.Body) {
			t.Errorf("%s: net/http reads a body %q", c.name, body)
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	minus := int64(-1)
	for _, r := range []Request{
		{Method: "GET /"}, {Method: "CONNECT"}, {Path: "a"}, {Path: "/a b"}, {Path: "/\r\nX: y"}, {Path: "/ü"},
		{Header: []string{"A"}}, {Header: []string{"A b: c"}}, {Header: []string{"A: b\r\nC: d"}}, {Header: []string{": b"}},
		{Weight: -1}, {Weight: maxWeight + 1}, {Status: 199}, {Status: 600}, {Length: &minus},
		{SHA256: "abc"}, {SHA256: strings.Repeat("g", 64)}, {Body: []byte("ab"), Header: []string{"Content-Length: 3"}},
	} {
		if wire, err := r.render("h", false); err == nil {
			t.Errorf("%+v makes %q", r, wire)
		}
	}
}

func TestSequence(t *testing.T) {
	weights := func(list ...int) (rs []Request) {
		for _, w := range list {
			rs = append(rs, Request{Weight: w})
		}
		return rs
	}
	for _, c := range []struct {
		weights []int
		want    []int // of each in a cycle
	}{
		{[]int{0}, []int{1}}, {[]int{7}, []int{1}}, {[]int{1, 99}, []int{1, 99}}, {[]int{20, 10, 30}, []int{2, 1, 3}},
		{[]int{1, maxWeight}, []int{1, 65535}},
	} {
		got := make([]int, len(c.weights))
		for _, k := range sequence(weights(c.weights...)) {
			got[k]++
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%v: %v of each, want %v", c.weights, got, c.want)
				break
			}
		}
	}
	// evenly: the rare one is not bunched
	last, cycle := -1, sequence(weights(9, 1, 9, 1))
	for n, k := range cycle {
		if k == 1 {
			if last >= 0 && n-last < 5 {
				t.Errorf("kind 1 at %d and %d of %v", last, n, cycle)
			}
			last = n
		}
	}
}

func TestConfigRefuses(t *testing.T) {
	for _, c := range []Config{
		{Connections: -1}, {Connections: maxConnections + 1}, {Pipelining: 1025}, {Loops: 65}, {Connections: 2, Loops: 3},
		{Rate: -1}, {Rate: 1e8}, {Warmup: -1}, {Duration: 25 * time.Hour}, {Count: -1}, {Count: 1, Loops: 2}, {Timeout: -1},
		{Close: true, Pipelining: 2}, {Connecting: 5000}, {Sources: 70000}, {Requests: make([]Request, maxKinds+1)},
	} {
		if err := c.setDefaults(); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: error %v", c, err)
		}
	}
}

func TestTarget(t *testing.T) {
	for text, want := range map[string]string{
		"http://127.0.0.1:8080":  "127.0.0.1:8080",
		"http://127.1.2.3:8080/": "127.1.2.3:8080",
		"http://[::1]:80":        "[::1]:80",
		"http://127.0.0.1":       "127.0.0.1:80",
	} {
		c := Config{Target: text}
		if err := c.setDefaults(); err != nil {
			t.Fatal(err)
		}
		if got, err := c.resolve(); err != nil || got.addr.String() != want {
			t.Errorf("%s: %v, %v", text, got.addr, err)
		}
	}
	for _, c := range []Config{
		{}, {Target: "127.0.0.1:80"}, {Target: "https://127.0.0.1"}, {Target: "http://127.0.0.1:80/x"}, {Target: "http://127.0.0.1?x"},
		{Target: "http://u@127.0.0.1"}, {Target: "http://127.0.0.1:0"}, {Target: "http://127.0.0.1:x"},
		{Target: "http://192.0.2.1:80"}, {Target: "http://0.0.0.0:80"}, {Target: "http://[::1]:80", Sources: 2},
	} {
		if err := c.setDefaults(); err != nil {
			t.Fatal(err)
		}
		if got, err := c.resolve(); err == nil {
			t.Errorf("%+v: %v", c, got)
		}
	}
	c := Config{Target: "http://192.0.2.1:80", Remote: true, Sources: 1}
	if _, err := c.resolve(); err != nil {
		t.Errorf("a target that was allowed: %v", err)
	}
}
