package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ringcore/ringcore/bench/compare/loader"
)

// rounds of a server whose costs are these.
func rounds(costs ...float64) []Round {
	var list []Round
	for _, c := range costs {
		list = append(list, Round{
			Requests: 1000, CPU: c, PerSecond: 1e6 / c, Busy: 1, Client: 0.5, QuickP99: 900,
			Curve: []loader.Point{{Percentile: 50, Micros: 10 * c}, {Percentile: 99, Micros: 50 * c}, {Percentile: 99.9, Micros: 90 * c}},
		})
	}
	return list
}

func sample() *Report {
	row := func(name string, costs ...float64) *Row {
		return &Row{Target: name, Rounds: rounds(costs...), Calls: 2, Memory: 5 << 20}
	}
	active := &Scenario{Name: "plaintext64", Title: "Plaintext, 64 connections", Connections: 64, Base: "epoll", Rows: []*Row{
		row("io_uring", 5, 5.1, 4.9), row("apache-prefork", 60, 61, 60)}}
	return &Report{
		Started:  time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Machine:  Machine{Kernel: "6.18", Processor: "P<1>", ServerCPU: []int{0}, LoadCPU: []int{1}},
		Settings: Settings{Rounds: 3, Seconds: 2, Loader: "wrk"},
		Targets:  []Target{{Name: "io_uring", What: "ours", Ours: true}, {Name: "epoll", What: "ours", Ours: true}, {Name: "node", What: "Node"}},
		Scenarios: []*Scenario{
			{Name: "plaintext64", Title: "Plaintext, 64 connections", Connections: 64, Base: "epoll", Rows: []*Row{
				row("io_uring", 5, 5.1, 4.9), row("epoll", 10, 10, 10.1), row("node", 30, 31, 30)}},
			{Name: "plaintext512", Title: "Plaintext, 512 connections", Connections: 512, Base: "epoll", Rows: []*Row{
				row("io_uring", 10.2, 9.7, 10), row("epoll", 10, 10, 10.1), {Target: "node", Skipped: "does not <run>", Calls: -1}}},
			{Name: "pipeline16", Title: "Pipelined", Connections: 64, Base: "epoll", Waits: true, Rows: []*Row{
				row("io_uring", 12, 12, 12.1), row("epoll", 10, 10, 10.1)}},
		},
		Idle: []*Idle{{Connections: 1000, Rows: []*IdleRow{{Target: "io_uring", Processes: 1, Held: 1000, PerConn: 400}, {Target: "node", Skipped: "no"}}}},
		Origin: &Origin{WaitMS: 1000, Rows: []*OriginRow{
			{Target: "io_uring", Connections: 10_000, PerSecond: 9_900, AtOnce: 9_900, Processes: 1, Memory: 90 << 20},
			{Target: "apache-prefork", Connections: 10_000, PerSecond: 256, AtOnce: 256, Processes: 257, Memory: 400 << 20}},
			Idle: &Idle{Connections: 1000, Rows: []*IdleRow{{Target: "apache-prefork", Servers: 1, Held: 256, PerConn: 300 << 10, Remark: "took 256"}}}, Active: active},
	}
}

func TestJudge(t *testing.T) {
	r := sample()
	r.Judge()
	for i, want := range [][]string{
		{"io_uring wins.", "Least CPU per request of all: io_uring."},
		{"within the noise, no winner.", "no winner, "},
		{"io_uring loses.", "Least CPU per request of all: epoll."},
	} {
		got := r.Scenarios[i].Verdicts
		if len(got) != 2 || !strings.HasSuffix(got[0], want[0]) || !strings.Contains(got[1], want[1]) {
			t.Errorf("%s: %q, want %q", r.Scenarios[i].Title, got, want)
		}
	}
	if len(r.Losses) != 1 || !strings.HasPrefix(r.Losses[0], "Pipelined: io_uring costs 1.2") {
		t.Errorf("losses %q", r.Losses)
	}
	if c := r.Scenarios[0].Rows[0].Curve; len(c) != 3 || c[1].Micros != 250 {
		t.Errorf("curve %v", c)
	}
}

// A disturbed machine names no winner, and the notes say what was wrong.
func TestJudgeDisturbed(t *testing.T) {
	r := sample()
	s := r.Scenarios[2]
	for i := range 3 {
		s.Rows[0].Rounds[i].Other = 0.4
	}
	s.Rows[1].Rounds[0].Errors = 7
	s.Rows[1].Rounds[1] = Round{Failed: "broken"}
	calm := r.Scenarios[0]
	for i := range calm.Rows[0].Rounds {
		calm.Rows[0].Rounds[i].Busy, calm.Rows[0].Rounds[i].Client = 0.5, 0.99
	}
	r.Judge()
	if len(s.Verdicts) != 1 || !strings.Contains(s.Verdicts[0], "no winner is named") || len(r.Losses) != 0 {
		t.Errorf("verdicts %q, losses %q", s.Verdicts, r.Losses)
	}
	notes := strings.Join(s.Notes, "\n")
	for _, want := range []string{"3 of 6 measurements were disturbed", "up to 40 %", "epoll: 7 errors beside 2000 answers, in 1 of 3 rounds", "epoll: round 2 failed: broken"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in\n%s", want, notes)
		}
	}
	if !strings.Contains(notes, "io_uring: used 100 % of its CPU: more was asked for") {
		t.Errorf("that handlers that wait had no CPU left goes unsaid: %s", notes)
	}
	if notes := strings.Join(calm.Notes, "\n"); !strings.Contains(notes, "io_uring: used 50 % of its CPU, the load generator was the bottleneck") {
		t.Errorf("the bottleneck goes unsaid: %s", notes)
	}
}

func TestMarkdown(t *testing.T) {
	r := sample()
	r.Judge()
	var b bytes.Buffer
	if err := r.WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	columns := 0
	for line := range strings.Lines(text) {
		n := strings.Count(line, "|")
		if n == 0 {
			columns = 0
			continue
		}
		if columns != 0 && n != columns {
			t.Errorf("a row of %d cells in a table of %d: %s", n-1, columns-1, line)
		}
		columns = n
	}
	for _, want := range []string{"## Where io_uring loses", "## Plaintext, 64 connections", "0.50 (", "## 1,000 idle connections", "9,900", "257", "Note: apache-prefork: took 256", "### Plaintext, 64"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestJSON(t *testing.T) {
	r := sample()
	r.Judge()
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	back := new(Report)
	if err := json.Unmarshal(b.Bytes(), back); err != nil || !reflect.DeepEqual(r, back) {
		t.Errorf("what comes back is not what was written: %v", err)
	}
}

// The page holds every picture and nothing that comes from elsewhere.
func TestHTML(t *testing.T) {
	r := sample()
	r.Interrupted = true
	r.Judge()
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if found := regexp.MustCompile(`(?i)(src|href)="[^#"]|url\(|@import|<script|<link`).FindAllString(text, -1); len(found) > 0 {
		t.Errorf("the page fetches something: %q", found)
	}
	// pictures: three scenarios with CPU, throughput and latency, one with quick
	// requests besides, cost against connections, idle memory, three of the origin
	// and four of its two numbers
	pictures := regexp.MustCompile(`(?s)<svg .*?</svg>`).FindAllString(text, -1)
	if len(pictures) != 19 {
		t.Errorf("%d pictures, want 19", len(pictures))
	}
	for _, p := range pictures {
		d := xml.NewDecoder(strings.NewReader(p))
		for {
			_, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%v in\n%s", err, p)
			}
		}
		if !strings.Contains(p, "var(--ink)") || !strings.Contains(p, "aria-label=") || strings.Contains(p, "#0708") {
			t.Errorf("a picture without the page's colours: %.300s", p)
		}
	}
	for _, want := range []string{"prefers-color-scheme: dark", `name="viewport"`, "does not &lt;run&gt;", "P&lt;1&gt;", `id="origin"`, `id="origin-idle1000"`, Interrupted} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
}

// A report of nothing renders too.
func TestEmpty(t *testing.T) {
	r := &Report{Scenarios: []*Scenario{{Title: "none", Rows: []*Row{{Target: "x", Skipped: "y", Calls: -1}}}}, Idle: []*Idle{{}}, Origin: &Origin{}}
	r.Judge()
	for _, write := range []func(io.Writer) error{r.WriteMarkdown, r.WriteJSON, r.WriteHTML} {
		if err := write(io.Discard); err != nil {
			t.Error(err)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, high := range []float64{0.003, 1, 7, 12, 99, 410_000} {
		if n := len(fewTicks(0, high)); n < 3 || n > 8 {
			t.Errorf("%d ticks to %g", n, high)
		}
	}
	for _, r := range [][2]float64{{0.2, 3}, {1, 900}, {0.01, 1e5}} {
		if n := len(logTicks(r[0], r[1])); n < 2 || n > 12 {
			t.Errorf("%d ticks from %g to %g", n, r[0], r[1])
		}
	}
	for in, want := range map[float64]string{12_000: "12k", 1.5e6: "1.5M", 0.25: "0.25", 0: "0"} {
		if got := compact(in); got != want {
			t.Errorf("%g: %s", in, got)
		}
	}
}

func TestFormats(t *testing.T) {
	for in, want := range map[float64]string{0: "0", 1234: "1234", 99.94: "99.9", 1.234: "1.23", 0.00123: "0.001"} {
		if got := short(in); got != want {
			t.Errorf("short(%g) = %s, want %s", in, got, want)
		}
	}
	for in, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(in); got != want {
			t.Errorf("thousands(%d) = %s", in, got)
		}
	}
}
