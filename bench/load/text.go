package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/ringcore/ringcore/bench/load/gen"
)

// writeText writes a report for people.
func writeText(w io.Writer, r *gen.Report) {
	mode := "closed loop"
	if r.Mode == "open" {
		mode = fmt.Sprintf("open loop, %.6g requests/s planned", r.Rate)
	}
	fmt.Fprintf(w, "%s, %d connections", r.Target, r.Connections)
	if r.Pipelining > 1 {
		fmt.Fprintf(w, ", %d pipelined", r.Pipelining)
	}
	if !r.KeepAlive {
		fmt.Fprint(w, ", one for each request")
	}
	fmt.Fprintf(w, ", %s\n\n", mode)
	fmt.Fprintf(w, "  %d requests in %.3f s, %.0f/s; %s received\n", r.Requests, r.DurationS, r.ResponsesPerS, octets(r.Bytes))
	l := &r.LatencyUs
	if l.Count > 0 {
		fmt.Fprintf(w, "  latency   min %s  mean %s  p50 %s  p90 %s  p99 %s  p99.9 %s  max %s\n",
			us(l.Min), us(l.Mean), us(l.P50), us(l.P90), us(l.P99), us(l.P999), us(l.Max))
	}
	if len(r.Mix) > 1 {
		for _, part := range r.Mix {
			fmt.Fprintf(w, "  %-24.24s  %d requests, p50 %s, p99 %s\n", part.Name, part.Requests, us(part.LatencyUs.P50), us(part.LatencyUs.P99))
		}
	}
	fmt.Fprintf(w, "  statuses  %s\n", counts(r.Statuses))
	if len(r.Errors) > 0 {
		fmt.Fprintf(w, "  ERRORS    %s\n", counts(r.Errors))
	}
	if len(r.WarmupErrors) > 0 {
		fmt.Fprintf(w, "  errors before measuring  %s\n", counts(r.WarmupErrors))
	}
	if r.Unsent > 1+r.Requests/1000 {
		fmt.Fprintf(w, "  %d requests were due and not sent: the server did not sustain the rate\n", r.Unsent)
	}
	fmt.Fprintf(w, "  client    %.2f µs of CPU per request, %.0f %% of a CPU, by %s\n",
		r.ClientCPUUsPerRequest, 100*r.ClientCPU, strings.TrimSpace(r.Driver+" "+r.Tier))
	if r.ClientSaturated {
		fmt.Fprintln(w, "  NOTE      the client was the bottleneck: the throughput is its own, not the server's")
	}
	if r.Interrupted {
		fmt.Fprintln(w, "  interrupted")
	}
}

func counts(m map[string]int64) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s: %d", k, m[k]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// us prints a time given in µs with three digits.
func us(t float64) string {
	switch {
	case t < 1e3:
		return fmt.Sprintf("%.3gµs", t)
	case t < 999.5e3:
		return fmt.Sprintf("%.3gms", t/1e3)
	}
	return fmt.Sprintf("%.2fs", t/1e6)
}

func octets(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d B", n)
	case n < 10<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
