package report

import "fmt"

// Title is the chapter's.
func (i *Idle) Title() string { return thousands(i.Connections) + " idle connections" }

// Table returns the head and rows as text.
func (i *Idle) Table() (head []string, rows [][]string) {
	asked := false
	for _, r := range i.Rows {
		asked = asked || r.Active > 0
	}
	head = []string{"server", "held", "user KiB each", "kernel KiB each (both ends)", "user MiB in all", "processes", "threads", "CPU ms per s"}
	if asked {
		head = append(head, "active connections", "their p50 ms", "their p99 ms", "CPU µs/request")
	}
	for _, r := range i.Rows {
		row := []string{r.Target}
		if r.Skipped == "" {
			row = append(row, thousands(r.Held), short(r.PerConn/1024), grown(r.Kernel/1024), fmt.Sprintf("%.1f", float64(r.Memory)/(1<<20)),
				thousands(r.Processes), thousands(r.Threads), short(r.CPU))
			if r.Active > 0 {
				row = append(row, thousands(r.Active), millis(r.ActiveP50), millis(r.ActiveP99), short(r.ActiveCPU))
			}
		}
		for len(row) < len(head) {
			row = append(row, "–")
		}
		rows = append(rows, row)
	}
	return head, rows
}

// Notes say what is to be known about the figures.
func (i *Idle) Notes() []string {
	var notes []string
	most := 1
	for _, r := range i.Rows {
		most = max(most, r.Servers)
		if r.Skipped != "" {
			notes = append(notes, r.Target+": left out: "+r.Skipped)
		}
		if r.Remark != "" {
			notes = append(notes, r.Target+": "+r.Remark)
		}
	}
	if most > 1 {
		notes = append([]string{fmt.Sprintf("Each server ran %d times, on as many ports, with a share of the connections: a process may not open as many files here."+
			" Apache, which has a limit of its own, ran once.", most)}, notes...)
	}
	return append(notes, "Each connection has made one request. User memory is what all processes have (PSS) with the connections, less what they had without;"+
		" where a connection takes a process (prefork), all of it. Kernel memory is what the whole machine's slabs grew by.")
}

// grown prints how much something grew; what shrank meanwhile hides it.
func grown(v float64) string {
	if v <= 0 {
		return "–"
	}
	return short(v)
}
