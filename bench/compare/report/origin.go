package report

import (
	"fmt"
	"strings"
)

// OriginTitle is the chapter's.
const OriginTitle = "How can one thread serve so many? Waiting requests, measured"

// Intro says what the chapter measures.
func (o *Origin) Intro() string {
	return fmt.Sprintf("Every request waits %d ms, as for a database, while the processor has nothing to do."+
		" On N connections 0.9 N requests a second fall due, evenly, whatever the server does, so 0.9 N wait at once in a server that can hold them;"+
		" how many really do follows from how many are answered (rate × wait, Little's law). Latencies count from the moment that a request was due: who queues pays."+
		" Apache's handler is mod_lua with r.usleep: the process (prefork) or thread (event) that has the request waits in it, as PHP does for a database."+
		" Node's is a timer, ringcore's a goroutine that sleeps.", o.WaitMS)
}

// Table returns the head and rows as text.
func (o *Origin) Table() (head []string, rows [][]string) {
	head = []string{"connections", "server", "waiting at once", "answers/s", "p50 ms", "p99 ms", "errors", "processes", "threads", "memory MiB", "KiB more per connection", "CPU µs/request"}
	last := -1
	for _, r := range o.Rows {
		conns := ""
		if r.Connections != last {
			conns, last = thousands(r.Connections), r.Connections
		}
		if r.Skipped != "" {
			rows = append(rows, []string{conns, r.Target, "left out: " + r.Skipped, "", "", "", "", "", "", "", "", ""})
			continue
		}
		rows = append(rows, []string{conns, r.Target, thousands(int(r.AtOnce + 0.5)), thousands(int(r.PerSecond + 0.5)), millis(r.P50), millis(r.P99),
			thousands(int(r.Errors)), fmt.Sprint(r.Processes), fmt.Sprint(r.Threads), fmt.Sprintf("%.1f", float64(r.Memory)/(1<<20)),
			short(float64(r.Memory-r.Start) / 1024 / float64(r.Connections)), short(r.CPU)})
	}
	return head, rows
}

// OriginNumbers introduces the tables of the two numbers.
const OriginNumbers = "Two numbers belong to each server, and they are different things: what a connection costs that does nothing, and what a request costs that is answered at once."

func (o *Origin) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "## %s\n\n%s\n\n", OriginTitle, o.Intro())
	head, rows := o.Table()
	table(b, head, rows)
	for _, n := range o.Notes {
		fmt.Fprintf(b, "- %s\n", n)
	}
	b.WriteString("\n")
	if o.Idle == nil {
		return
	}
	fmt.Fprintf(b, "%s\n\n### %s\n\n", OriginNumbers, o.Idle.Title())
	o.Idle.markdown(b)
	if o.Active != nil {
		fmt.Fprintf(b, "### %s\n\n", o.Active.Title)
		o.Active.markdown(b)
	}
}
