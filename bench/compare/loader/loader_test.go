package loader

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestParseWrk(t *testing.T) {
	r, err := parseWrk("Running 1s test\n  …\n" + wrkMark +
		`{"requests":500,"us":2000000,"status":1,"socket":2,"timeout":3,"curve":[{"percentile":50,"us":100.5},{"percentile":99,"us":900}]}` + "\n")
	if err != nil || r.Requests != 500 || r.Errors != 6 || r.PerSecond != 250 || r.At(99) != 900 || r.At(10) != 0 || len(r.Notes) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range []string{"", "Requests/sec: 5", wrkMark + "{", wrkMark + `{"requests":1,"us":0}`} {
		if _, err := parseWrk(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// answering serves one body and counts connections and requests.
func answering(t *testing.T, body string, delay time.Duration) (addr string, conns, requests *atomic.Int64) {
	conns, requests = new(atomic.Int64), new(atomic.Int64)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			time.Sleep(delay)
		}
		_, _ = w.Write([]byte(body))
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), conns, requests
}

func TestParseLoad(t *testing.T) {
	r, err := parseLoad([]byte(`{"format":1,"requests":500,"duration_s":2,"responses_per_s":250,"client_cpu":0.75,"errors":{"reset":2,"length":1},
		"latency_curve":[{"quantile":0.1,"us":5},{"quantile":0.6,"us":10},{"quantile":0.993,"us":20},{"quantile":1,"us":30}]}`))
	if err != nil || r.Requests != 500 || r.Errors != 3 || r.PerSecond != 250 || r.ClientBusy != 0.75 || r.At(50) != 10 || r.At(99) != 20 || r.At(99.9) != 30 || len(r.Curve) != len(percentiles) {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range []string{"", "{", `{"format":99}`} {
		if _, err := parseLoad([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// bench/load, as it is built, understands the jobs.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	l := Load{Program: filepath.Join(dir, "load"), Dir: dir}
	if out, err := exec.Command("go", "build", "-o", l.Program, "github.com/ringcore/ringcore/bench/load").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	addr, conns, requests := answering(t, "hello", 0)
	j := Job{Addr: addr, Method: "POST", Path: "/x?y=1", Body: []byte("abc"), Connections: 4, Depth: 1, Duration: l.Least(), Length: 5, Close: true}
	r, err := l.Run(context.Background(), j)
	if err != nil || r.Requests == 0 || r.Errors != 0 || r.At(99) <= 0 || r.ClientCPU <= 0 || len(r.Curve) != len(percentiles) {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.Requests > requests.Load() || conns.Load() < r.Requests {
		t.Errorf("%d answers; the server saw %d requests on %d connections, wanted one for each", r.Requests, requests.Load(), conns.Load())
	}
	j.Length = 6
	if r, err = l.Run(context.Background(), j); err != nil || r.Requests != 0 || r.Errors == 0 {
		t.Errorf("wrong answers passed: %+v, %v", r, err)
	}
}

func TestWrk(t *testing.T) {
	program, err := exec.LookPath("wrk")
	if err != nil {
		t.Skip("no wrk here (Debian package wrk)")
	}
	addr, conns, requests := answering(t, "hello", 0)
	w := Wrk{Program: program, Dir: t.TempDir()}
	j := Job{Addr: addr, Method: "POST", Path: "/x?y=1", Body: []byte("abc"), Connections: 4, Depth: 1, Duration: time.Second, Length: 5, Close: true}
	r, err := w.Run(context.Background(), j)
	if err != nil || r.Requests == 0 || r.At(99) <= 0 || r.ClientCPU <= 0 || len(r.Curve) != len(percentiles) {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.Requests > requests.Load() || conns.Load() < r.Requests {
		t.Errorf("%d answers; the server saw %d requests on %d connections, wanted one for each", r.Requests, requests.Load(), conns.Load())
	}
	j.Rate = 1
	if _, err := w.Run(context.Background(), j); !errors.Is(err, ErrCannot) {
		t.Errorf("wrk at a fixed rate: %v", err)
	}
}

// The probe charges the server for what it should have answered while it
// stood still.
func TestProbe(t *testing.T) {
	const stall = 300 * time.Millisecond
	addr, conns, _ := answering(t, "hello", stall)
	j := Job{Addr: addr, Method: "GET", Path: "/", Connections: 1, Depth: 1, Duration: time.Second, Rate: 100, Length: 5}
	r, err := Probe{}.Run(context.Background(), j)
	if err != nil || r.Requests != 100 || r.Errors != 0 || conns.Load() != 1 {
		t.Fatalf("%+v, %v, %d connections; want 100 answers on one", r, err, conns.Load())
	}
	// 30 requests were due during the stall: a quarter waited for longer than 50 ms
	if r.At(75) < 50e3 || r.At(99.99) < 290e3 || r.At(10) > r.At(99) {
		t.Errorf("latencies %v", r.Curve)
	}
	j.Length, j.Duration = 6, 100*time.Millisecond
	if r, err := (Probe{}).Run(context.Background(), j); err != nil || r.Errors == 0 || r.Requests != 0 {
		t.Errorf("wrong answers passed: %+v, %v", r, err)
	}
	j.Rate = 0
	if _, err := (Probe{}).Run(context.Background(), j); !errors.Is(err, ErrCannot) {
		t.Errorf("no rate: %v", err)
	}
}

func TestMerge(t *testing.T) {
	r := Merge([]Result{{Requests: 2, Errors: 1, PerSecond: 2, Seconds: 1, took: []float64{40, 10}}, {Requests: 2, PerSecond: 3, Seconds: 2, took: []float64{20, 30}}, {}})
	if r.Requests != 4 || r.Errors != 1 || r.PerSecond != 5 || r.Seconds != 2 || r.At(50) != 20 || r.At(99) != 40 {
		t.Errorf("%+v", r)
	}
}
