// Package report holds the results of a comparison, judges them, and renders
// them as Markdown, as JSON and as one HTML page that needs nothing else.
package report

import (
	"encoding/json"
	"io"
	"time"

	"github.com/ringcore/ringcore/bench/compare/loader"
	"github.com/ringcore/ringcore/bench/compare/stats"
)

// Report is the whole of a run.
type Report struct {
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"` // that the run took
	Machine  Machine   `json:"machine"`
	Settings Settings  `json:"settings"`
	// Interrupted: it holds what was measured until then
	Interrupted bool        `json:"interrupted,omitempty"`
	Targets     []Target    `json:"targets"`
	Skipped     []string    `json:"skipped,omitempty"` // what was asked for and not done, and why
	Notes       []string    `json:"notes,omitempty"`   // about the machine during the run
	Losses      []string    `json:"losses"`            // where io_uring loses, by Judge
	Scenarios   []*Scenario `json:"scenarios"`
	Idle        []*Idle     `json:"idle,omitempty"`
	Origin      *Origin     `json:"origin,omitempty"`
}

// Machine is where it ran.
type Machine struct {
	Kernel    string `json:"kernel"`
	Processor string `json:"processor"`
	Memory    int64  `json:"memory_bytes"`
	Go        string `json:"go"`
	ServerCPU []int  `json:"server_cpus"`
	LoadCPU   []int  `json:"load_cpus"`
}

// Settings are how it ran.
type Settings struct {
	Quick   bool    `json:"quick"`
	Rounds  int     `json:"rounds"`
	Seconds float64 `json:"seconds_per_measurement"` // the most; a quick run measures for as long as its time allows
	Loader  string  `json:"loader"`
}

// SetStart keeps the first line that a server printed.
func (r *Report) SetStart(name, line string) {
	for i := range r.Targets {
		if r.Targets[i].Name == name {
			r.Targets[i].Start = line
		}
	}
}

// Target is one server.
type Target struct {
	Name  string `json:"name"`
	What  string `json:"what"`
	Ours  bool   `json:"ours,omitempty"`
	Start string `json:"start_line,omitempty"` // that the server printed
}

// Scenario is one load on all servers.
type Scenario struct {
	Name        string   `json:"name"`
	Title       string   `json:"title"`
	Connections int      `json:"connections"`
	Waits       bool     `json:"waits,omitempty"` // handlers that wait: the CPU is not what limits
	Seconds     float64  `json:"seconds_per_measurement"`
	Base        string   `json:"base"` // the ratios are to this target
	Rows        []*Row   `json:"rows"`
	Verdicts    []string `json:"verdicts"`
	Notes       []string `json:"notes,omitempty"`
}

// Row is one server in a scenario.
type Row struct {
	Target  string  `json:"target"`
	Skipped string  `json:"skipped,omitempty"` // why there are no rounds
	Remark  string  `json:"remark,omitempty"`  // what has to be known about them
	Rounds  []Round `json:"rounds,omitempty"`
	Calls   float64 `json:"system_calls_per_request"` // -1 if unknown
	Memory  int64   `json:"memory_bytes"`             // PSS of all its processes at the end

	// from here on by Judge
	CPU       stats.Summary  `json:"cpu_us_per_request"`
	PerSecond stats.Summary  `json:"requests_per_second"`
	P50       stats.Summary  `json:"p50_us"`
	P99       stats.Summary  `json:"p99_us"`
	QuickP99  stats.Summary  `json:"quick_p99_us"`
	Switches  stats.Summary  `json:"context_switches_per_request"`
	Busy      stats.Summary  `json:"server_busy"`
	Client    stats.Summary  `json:"client_busy"`
	ToBase    stats.Ratio    `json:"cpu_ratio_to_base"`
	Curve     []loader.Point `json:"latency_curve,omitempty"`
}

// Round is one measurement. One without requests has failed.
type Round struct {
	Requests  int64          `json:"requests"`
	Errors    int64          `json:"errors"`
	Kinds     []string       `json:"error_kinds,omitempty"` // such as "3 × reset"
	CPU       float64        `json:"cpu_us_per_request"`
	PerSecond float64        `json:"requests_per_second"`
	QuickP99  float64        `json:"quick_p99_us,omitempty"` // of quick requests beside those that wait
	Switches  float64        `json:"context_switches_per_request"`
	Busy      float64        `json:"server_busy"` // part of its CPUs that the server used, 0 to 1
	Client    float64        `json:"client_busy"` // the same for the load
	Other     float64        `json:"other_busy"`  // part of the CPUs that went to other programs
	Steal     float64        `json:"steal"`       // part that the hypervisor took
	Curve     []loader.Point `json:"latency_curve"`
	Failed    string         `json:"failed,omitempty"`
}

// Idle is what connections cost that do nothing.
type Idle struct {
	Connections int        `json:"connections"`
	Rows        []*IdleRow `json:"rows"`
}

// IdleRow is one server.
type IdleRow struct {
	Target    string  `json:"target"`
	Skipped   string  `json:"skipped,omitempty"`
	Remark    string  `json:"remark,omitempty"`
	Servers   int     `json:"servers"` // that shared the connections, each on a port of its own
	Held      int     `json:"held"`
	Processes int     `json:"processes"` // of all servers
	Threads   int     `json:"threads"`
	Memory    int64   `json:"memory_bytes"`         // user memory, PSS of all processes, with the connections
	PerConn   float64 `json:"bytes_per_connection"` // that less what there was without; all of it where each connection has a process
	Kernel    float64 `json:"kernel_bytes_per_connection"`
	CPU       float64 `json:"cpu_ms_per_second"` // of all its processes, while nothing happens
	// requests on Active of the connections, one a second each, beside those that are idle
	Active    int     `json:"active,omitempty"`
	ActiveP50 float64 `json:"active_p50_us,omitempty"`
	ActiveP99 float64 `json:"active_p99_us,omitempty"`
	ActiveCPU float64 `json:"active_cpu_us_per_request,omitempty"`
}

// Origin is the question that the project starts from, measured.
type Origin struct {
	WaitMS int          `json:"wait_ms"`
	Rows   []*OriginRow `json:"rows"`
	Idle   *Idle        `json:"idle,omitempty"`
	Active *Scenario    `json:"active,omitempty"`
	Notes  []string     `json:"notes,omitempty"`
}

// OriginRow is one server under one number of connections whose requests all wait.
type OriginRow struct {
	Target      string  `json:"target"`
	Connections int     `json:"connections"`
	Skipped     string  `json:"skipped,omitempty"`
	PerSecond   float64 `json:"requests_per_second"`
	AtOnce      float64 `json:"waiting_at_once"` // by Little's law: rate × wait
	P50         float64 `json:"p50_us"`
	P99         float64 `json:"p99_us"`
	Errors      int64   `json:"errors"`
	Processes   int     `json:"processes"`
	Threads     int     `json:"threads"`
	Memory      int64   `json:"memory_bytes"` // PSS under this load
	Start       int64   `json:"start_bytes"`  // PSS before it
	CPU         float64 `json:"cpu_us_per_request"`
}

// WriteJSON writes the report for machines.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
