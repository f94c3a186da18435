package loader

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ringcore/ringcore/bench/compare/pin"
	"github.com/ringcore/ringcore/bench/load/gen"
)

// Load runs bench/load, which costs less than the servers and checks every
// response.
type Load struct {
	Program string
	Dir     string // for bodies
}

// Name returns "bench/load".
func (l Load) Name() string { return "bench/load" }

// Least is a fifth of a second.
func (l Load) Least() time.Duration { return 200 * time.Millisecond }

const defaultTimeout = 30 * time.Second

// errorsStatus is the exit status of a run that was measured and had errors.
const errorsStatus = 3

// Run runs the job.
func (l Load) Run(ctx context.Context, j Job) (Result, error) {
	args := []string{"-c", strconv.Itoa(j.Connections), "-p", strconv.Itoa(j.Depth), "-d", j.Duration.String(),
		"-method", j.Method, "-status", "200", "-length", strconv.Itoa(j.Length), "-timeout", cmp.Or(j.Timeout, defaultTimeout).String(),
		"-loops", strconv.Itoa(max(1, len(j.CPUs))), "-json", "-", "-curve"}
	if j.Warm > 0 {
		args = append(args, "-w", j.Warm.String())
	}
	if j.Rate > 0 {
		args = append(args, "-rate", strconv.FormatFloat(j.Rate, 'f', -1, 64))
	}
	if j.Close {
		args = append(args, "-close")
	}
	if len(j.Body) > 0 {
		file := filepath.Join(l.Dir, "body")
		if err := os.WriteFile(file, j.Body, 0o600); err != nil {
			return Result{}, err
		}
		args = append(args, "-body", file, "-H", "Content-Type: application/octet-stream")
	}
	cmd := exec.CommandContext(ctx, l.Program, append(args, "http://"+j.Addr+j.Path)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	if err := pin.Start(cmd, j.CPUs); err != nil {
		return Result{}, err
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != errorsStatus) {
		return Result{}, fmt.Errorf("bench/load: %w: %s", err, strings.TrimSpace(errs.String()))
	}
	r, err := parseLoad(out.Bytes())
	if err != nil {
		return r, err
	}
	r.ClientRun = time.Since(began)
	r.ClientCPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return r, nil
}

func parseLoad(text []byte) (Result, error) {
	var v gen.Report
	if err := json.Unmarshal(text, &v); err != nil {
		return Result{}, fmt.Errorf("bench/load's report: %w", err)
	}
	if v.Format != gen.FormatVersion {
		return Result{}, fmt.Errorf("bench/load's report has format %d, want %d", v.Format, gen.FormatVersion)
	}
	r := Result{Requests: v.Requests, Seconds: v.DurationS, PerSecond: v.ResponsesPerS, ClientBusy: v.ClientCPU}
	if v.FromUnixUs > 0 {
		r.From, r.To = time.UnixMicro(v.FromUnixUs), time.UnixMicro(v.ToUnixUs)
	}
	for kind, n := range v.Errors {
		r.Errors += n
		r.Notes = append(r.Notes, fmt.Sprintf("%d × %s", n, kind))
	}
	if v.Requests > 0 {
		for _, p := range percentiles {
			for _, point := range v.LatencyCurve {
				if point.Quantile >= p/100 {
					r.Curve = append(r.Curve, Point{Percentile: p, Micros: point.Us})
					break
				}
			}
		}
	}
	return r, nil
}
