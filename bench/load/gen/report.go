package gen

// Report is the outcome of a run. The documentation of the package says what
// its fields mean, by their names in JSON.
type Report struct {
	Format      int     `json:"format"`
	Target      string  `json:"target"`
	Mix         []Part  `json:"mix"`
	Driver      string  `json:"driver"`
	Tier        string  `json:"tier"`
	Loops       int     `json:"loops"`
	Connections int     `json:"connections"`
	Pipelining  int     `json:"pipelining"`
	KeepAlive   bool    `json:"keep_alive"`
	Mode        string  `json:"mode"`
	Rate        float64 `json:"rate"`
	WarmupS     float64 `json:"warmup_s"`
	DurationS   float64 `json:"duration_s"`
	FromUnixUs  int64   `json:"from_unix_us"`
	ToUnixUs    int64   `json:"to_unix_us"`

	Requests      int64            `json:"requests"`
	ResponsesPerS float64          `json:"responses_per_s"`
	Bytes         int64            `json:"bytes"`
	BytesSent     int64            `json:"bytes_sent"`
	Statuses      map[string]int64 `json:"statuses"`
	Errors        map[string]int64 `json:"errors"`
	WarmupErrors  map[string]int64 `json:"warmup_errors"`
	Connects      int64            `json:"connects"`
	Reconnects    int64            `json:"reconnects"`

	LatencyUs    Latency `json:"latency_us"`
	LatencyCurve []Point `json:"latency_curve,omitempty"`
	Unanswered   int64   `json:"unanswered"`
	Unsent       int64   `json:"unsent"`

	ClientCPUUsPerRequest float64 `json:"client_cpu_us_per_request"`
	ClientCPU             float64 `json:"client_cpu"`
	ClientWait            float64 `json:"client_wait"`
	ClientSaturated       bool    `json:"client_saturated"`
	Interrupted           bool    `json:"interrupted"`
	Aborted               string  `json:"aborted"`
}

// Part is a kind of request within a Report.
type Part struct {
	Name         string  `json:"name"`
	Method       string  `json:"method"`
	Path         string  `json:"path"`
	Weight       int     `json:"weight"`
	RequestBytes int     `json:"request_bytes"`
	Requests     int64   `json:"requests"`
	LatencyUs    Latency `json:"latency_us"`
}

// Latency sums latencies up, in µs.
type Latency struct {
	Count  int64   `json:"count"`
	Min    float64 `json:"min"`
	Mean   float64 `json:"mean"`
	StdDev float64 `json:"stddev"`
	P50    float64 `json:"p50"`
	P90    float64 `json:"p90"`
	P99    float64 `json:"p99"`
	P999   float64 `json:"p999"`
	Max    float64 `json:"max"`
}

// Point is a point of the latency curve: Count requests, the share Quantile
// (0 to 1), took at most Us µs.
type Point struct {
	Quantile float64 `json:"quantile"`
	Us       float64 `json:"us"`
	Count    int64   `json:"count"`
}

// FormatVersion is Report.Format.
const FormatVersion = 1

// Progress is where a run stands.
type Progress struct {
	Phase        string  // connecting, warm-up, measuring or finishing
	Elapsed      float64 // s since the phase began
	Total        float64 // s that the phase lasts; 0: not known
	Done, Count  int64   // requests answered, and the number that ends the run (0: none)
	RequestsPerS float64 // since the last call
	Connections  int     // open
	Errors       int64   // since the beginning of the run
	P50Us        float64 // so far in the measured time
	P99Us        float64
}
