package loader

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ringcore/ringcore/bench/compare/pin"
)

// Wrk runs wrk (https://github.com/wg/wrk).
type Wrk struct {
	Program string
	Dir     string // for its scripts
}

// Name returns "wrk".
func (w Wrk) Name() string { return "wrk" }

// Least is a second: wrk counts in whole ones.
func (w Wrk) Least() time.Duration { return time.Second }

// Run runs the job. wrk knows no fixed rate and does not look at bodies.
func (w Wrk) Run(ctx context.Context, j Job) (Result, error) {
	if j.Rate > 0 {
		return Result{}, fmt.Errorf("wrk, a fixed rate: %w", ErrCannot)
	}
	script := filepath.Join(w.Dir, "wrk.lua")
	if err := os.WriteFile(script, []byte(wrkScript(j)), 0o600); err != nil {
		return Result{}, err
	}
	seconds := max(1, int(j.Duration.Seconds()+0.5))
	cmd := exec.CommandContext(ctx, w.Program, "-t", "1", "-c", strconv.Itoa(j.Connections),
		"-d", fmt.Sprintf("%ds", seconds), "--timeout", fmt.Sprintf("%.0fs", cmp.Or(j.Timeout, defaultTimeout).Seconds()), "-s", script, "http://"+j.Addr+j.Path)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	if err := pin.Start(cmd, j.CPUs); err != nil {
		return Result{}, err
	}
	if err := cmd.Wait(); err != nil {
		return Result{}, fmt.Errorf("wrk: %w: %s", err, strings.TrimSpace(errs.String()))
	}
	r, err := parseWrk(out.String())
	if err != nil {
		return r, err
	}
	r.ClientRun = time.Since(began)
	r.ClientCPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return r, nil
}

// wrkMark stands before the line of JSON that the script prints.
const wrkMark = "ringcore-compare "

// wrkScript makes the request and prints the result as a line of JSON.
func wrkScript(j Job) string {
	var b strings.Builder
	fmt.Fprintf(&b, "wrk.method = %q\n", j.Method)
	if len(j.Body) > 0 {
		fmt.Fprintf(&b, "wrk.body = string.rep(\"e\", %d)\nwrk.headers[\"Content-Type\"] = \"application/octet-stream\"\n", len(j.Body))
	}
	if j.Close {
		b.WriteString("wrk.headers[\"Connection\"] = \"close\"\n")
	}
	if j.Depth > 1 {
		fmt.Fprintf(&b, `local batch
init = function()
  local one = {}
  for i = 1, %d do one[i] = wrk.format() end
  batch = table.concat(one)
end
request = function() return batch end
`, j.Depth)
	}
	b.WriteString("done = function(summary, latency)\n  local e = summary.errors\n  local curve = {}\n")
	for _, p := range percentiles {
		fmt.Fprintf(&b, "  curve[#curve + 1] = string.format('{\"percentile\":%v,\"us\":%%f}', latency:percentile(%v))\n", p, p)
	}
	b.WriteString("  print(string.format('" + wrkMark + `{"requests":%d,"us":%d,"status":%d,"socket":%d,"timeout":%d,"curve":[%s]}', ` +
		"summary.requests, summary.duration, e.status, e.connect + e.read + e.write, e.timeout, table.concat(curve, \",\")))\nend\n")
	return b.String()
}

func parseWrk(out string) (Result, error) {
	_, line, ok := strings.Cut(out, wrkMark)
	if !ok {
		return Result{}, fmt.Errorf("wrk printed no result: %q", out)
	}
	var v struct {
		Requests, Us            int64
		Status, Socket, Timeout int64
		Curve                   []Point
	}
	if err := json.NewDecoder(strings.NewReader(line)).Decode(&v); err != nil {
		return Result{}, fmt.Errorf("wrk's result: %w", err)
	}
	if v.Us <= 0 {
		return Result{}, fmt.Errorf("wrk ran for no time: %q", line)
	}
	r := Result{
		Requests: v.Requests, Errors: v.Status + v.Socket + v.Timeout, Curve: v.Curve,
		Seconds: float64(v.Us) / 1e6,
	}
	r.PerSecond = float64(r.Requests) / r.Seconds
	if v.Timeout > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d requests had no answer in time", v.Timeout))
	}
	return r, nil
}
