package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/ringcore/ringcore/bench/compare/stats"
)

// WriteMarkdown writes the report for the terminal and for documents.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# ringcore compared\n\n%s\n\n", r.Intro())
	if r.Interrupted {
		fmt.Fprintf(&b, "**%s**\n\n", Interrupted)
	}
	bullets(&b, "Not done", r.Skipped)
	bullets(&b, "What is to be known of the machine", r.Notes)
	b.WriteString("## Where io_uring loses\n\n")
	b.WriteString(r.lossText() + "\n\n")
	for _, s := range r.Scenarios {
		fmt.Fprintf(&b, "## %s\n\n", s.Title)
		s.markdown(&b)
	}
	for _, idle := range r.Idle {
		fmt.Fprintf(&b, "## %s\n\n", idle.Title())
		idle.markdown(&b)
	}
	if r.Origin != nil {
		r.Origin.markdown(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Scenario) markdown(b *strings.Builder) {
	head, rows := s.Table()
	table(b, head, rows)
	for _, v := range s.Verdicts {
		fmt.Fprintf(b, "- %s\n", v)
	}
	for _, n := range s.Notes {
		fmt.Fprintf(b, "- Note: %s\n", n)
	}
	b.WriteString("\n")
}

func (i *Idle) markdown(b *strings.Builder) {
	head, rows := i.Table()
	table(b, head, rows)
	for _, n := range i.Notes() {
		fmt.Fprintf(b, "- Note: %s\n", n)
	}
	b.WriteString("\n")
}

// Interrupted is what a report says that is not whole.
const Interrupted = "The run was interrupted: this is what was measured until then, and rounds may be missing."

// Intro says what ran where, and how to read it.
func (r *Report) Intro() string {
	m, s := r.Machine, r.Settings
	quick := ""
	if s.Quick {
		quick = " This was a quick run: short rounds, wide intervals."
	}
	return fmt.Sprintf("%s, Linux %s, %s, %s, %.0f GiB; servers on CPU %s, load (%s) on CPU %s; %d interleaved rounds of %s, %.0f s in all."+
		" CPU time per request is the server's, all its processes and the kernel's work for them: at saturation it decides how much a machine serves."+
		" Medians of the rounds (lowest–highest); ratios with their %.0f %% interval; a winner is named only if the whole interval is on one side of 1 and the difference is %.0f %% or more.%s",
		r.Started.UTC().Format("2006-01-02 15:04 UTC"), m.Kernel, m.Go, m.Processor, float64(m.Memory)/(1<<30),
		cpuList(m.ServerCPU), s.Loader, cpuList(m.LoadCPU), s.Rounds, r.lengths(), r.Seconds, 100*stats.Confidence, 100*stats.Least, quick)
}

// lengths are those of the measurements, in seconds.
func (r *Report) lengths() string {
	least := r.Settings.Seconds
	for _, s := range r.Scenarios {
		least = min(least, s.Seconds)
	}
	if least < r.Settings.Seconds {
		return fmt.Sprintf("%.2f to %.2f s", least, r.Settings.Seconds)
	}
	return fmt.Sprintf("%.3g s", least)
}

func (r *Report) lossText() string {
	if len(r.Losses) > 0 {
		return "- " + strings.Join(r.Losses, "\n- ")
	}
	return "In no scenario of this run beyond the noise. (The scenarios say where it could not be told.)"
}

// Table returns the scenario's head and rows as text.
func (s *Scenario) Table() (head []string, rows [][]string) {
	head = []string{"server", "CPU µs/request", "ratio to " + s.Base, "requests/s", "p50 ms", "p99 ms"}
	if s.Waits {
		head = append(head, "quick p99 ms")
	}
	head = append(head, "calls/request", "switches/request", "server/client busy", "memory MiB")
	for _, r := range s.Rows {
		if r.CPU.N == 0 {
			row := []string{r.Target}
			for range head[1:] {
				row = append(row, "–")
			}
			rows = append(rows, row)
			continue
		}
		row := []string{r.Target, ranged(r.CPU), r.ToBase.String(), thousands(int(r.PerSecond.Median)), millis(r.P50.Median), millis(r.P99.Median)}
		if s.Waits {
			row = append(row, millis(r.QuickP99.Median))
		}
		calls := "–"
		if r.Calls >= 0 {
			calls = short(r.Calls)
		}
		row = append(row, calls, short(r.Switches.Median),
			fmt.Sprintf("%.0f/%.0f %%", 100*r.Busy.Median, 100*r.Client.Median), fmt.Sprintf("%.1f", float64(r.Memory)/(1<<20)))
		rows = append(rows, row)
	}
	return head, rows
}

func table(b *strings.Builder, head []string, rows [][]string) {
	fmt.Fprintf(b, "| %s |\n|---|%s\n", strings.Join(head, " | "), strings.Repeat("--:|", len(head)-1))
	for _, row := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
	b.WriteString("\n")
}

func bullets(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "%s:\n\n- %s\n\n", title, strings.Join(lines, "\n- "))
}

func ranged(s stats.Summary) string {
	if s.N < 2 {
		return short(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", short(s.Median), short(s.Min), short(s.Max))
}

// short prints three significant digits.
func short(v float64) string {
	switch a := max(v, -v); {
	case a == 0:
		return "0"
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 0.01:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.1g", v)
}

func millis(us float64) string {
	if us == 0 {
		return "–"
	}
	return short(us / 1000)
}

// thousands prints 12345 as 12,345.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func cpuList(cpus []int) string {
	var words []string
	for _, cpu := range cpus {
		words = append(words, fmt.Sprint(cpu))
	}
	return strings.Join(words, ",")
}
