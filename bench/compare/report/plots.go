package report

import (
	"html/template"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/ringcore/ringcore/bench/compare/stats"
)

// Figure is a picture with its caption.
type Figure struct {
	Caption string
	SVG     template.HTML
	Legend  []Key // for lines
}

// Key is an entry of a legend.
type Key struct {
	Name string
	Hue  int
}

// colours gives each server of the report its colour, the same in all pictures.
type colours map[string]int

func (r *Report) colours() colours {
	c := colours{}
	see := func(name string) {
		if _, seen := c[name]; !seen {
			c[name] = len(c)
		}
	}
	for _, t := range r.Targets {
		see(t.Name)
	}
	if r.Origin != nil {
		for _, row := range r.Origin.Rows {
			see(row.Target)
		}
	}
	return c
}

// figures are a scenario's.
func (s *Scenario) figures(c colours) []Figure {
	chart := func(get func(*Row) stats.Summary, unit, caption string) Figure {
		var list []bar
		for _, r := range s.Rows {
			if v := get(r); v.N > 0 && v.Median > 0 {
				list = append(list, bar{r.Target, c[r.Target], v.Median, v.Min, v.Max})
			}
		}
		return Figure{Caption: caption, SVG: bars(s.Title+": "+caption, unit, list)}
	}
	list := []Figure{
		chart(func(r *Row) stats.Summary { return r.CPU }, "µs", "Server CPU time per request (less is better)"),
		chart(func(r *Row) stats.Summary { return r.PerSecond }, "requests/s", "Throughput (more is better)"),
	}
	if s.Waits {
		list = append(list, chart(func(r *Row) stats.Summary { return scale(r.QuickP99, 1e-3) }, "ms", "p99 of the quick requests beside (less is better)"))
	}
	list = append(list, s.latency(c))
	return drawn(list)
}

func scale(s stats.Summary, by float64) stats.Summary {
	return stats.Summary{N: s.N, Median: s.Median * by, Min: s.Min * by, Max: s.Max * by}
}

// latency draws the latencies by percentile, both on a scale that gives each
// further nine the same room.
func (s *Scenario) latency(c colours) Figure {
	f := Figure{Caption: "Latency by percentile (lower is better)"}
	var list []series
	for _, r := range s.Rows {
		var points plotter.XYs
		for _, p := range r.Curve {
			if p.Micros > 0 && p.Percentile < 100 {
				points = append(points, plotter.XY{X: nines(p.Percentile), Y: p.Micros / 1000})
			}
		}
		if len(points) > 0 {
			list = append(list, series{r.Target, c[r.Target], points})
			f.Legend = append(f.Legend, Key{r.Target, c[r.Target] % hues})
		}
	}
	var marks []plot.Tick
	for _, p := range []struct {
		at   float64
		name string
	}{{50, "50 %"}, {90, "90 %"}, {99, "99 %"}, {99.9, "99.9 %"}, {99.99, "99.99 %"}} {
		marks = append(marks, plot.Tick{Value: nines(p.at), Label: p.name})
	}
	f.SVG = lines(s.Title+": "+f.Caption, newPlot("", "ms"), list, marks)
	return f
}

func nines(percentile float64) float64 { return -math.Log10(1 - percentile/100) }

// overview are the pictures over all scenarios: cost against connections.
func (r *Report) overview(c colours) []Figure {
	cost := Figure{Caption: "Server CPU per plaintext request against connections (lower is better)"}
	byTarget := map[string]plotter.XYs{}
	for _, s := range r.Scenarios {
		switch s.Name {
		case "plaintext64", "plaintext512", "plaintext8192":
			for _, row := range s.Rows {
				if row.CPU.N > 0 {
					byTarget[row.Target] = append(byTarget[row.Target], plotter.XY{X: float64(s.Connections), Y: row.CPU.Median})
				}
			}
		}
	}
	cost.SVG, cost.Legend = r.against(c, cost.Caption, newPlot("connections", "µs"), byTarget)

	idle := Figure{Caption: "User memory per idle connection (lower is better)"}
	byTarget = map[string]plotter.XYs{}
	for _, i := range r.Idle {
		for _, row := range i.Rows {
			if row.Skipped == "" && row.PerConn > 0 {
				byTarget[row.Target] = append(byTarget[row.Target], plotter.XY{X: float64(row.Held), Y: row.PerConn / 1024})
			}
		}
	}
	idle.SVG, idle.Legend = r.against(c, idle.Caption, newPlot("connections", "KiB"), byTarget)
	return drawn([]Figure{cost, idle})
}

// against draws lines over the number of connections; a single number is no line.
func (r *Report) against(c colours, title string, p *plot.Plot, byTarget map[string]plotter.XYs) (template.HTML, []Key) {
	var list []series
	var keys []Key
	longest := 0
	for _, t := range r.Targets {
		if points := byTarget[t.Name]; len(points) > 0 {
			list = append(list, series{t.Name, c[t.Name], points})
			keys = append(keys, Key{t.Name, c[t.Name] % hues})
			longest = max(longest, len(points))
		}
	}
	if longest < 2 {
		return "", nil
	}
	return lines(title, p, list, nil), keys
}

// figures are those of a number of idle connections.
func (i *Idle) figures(c colours) []Figure {
	var list []bar
	for _, r := range i.Rows {
		if r.Skipped == "" {
			list = append(list, bar{name: r.Target, hue: c[r.Target], value: max(0, r.PerConn/1024)})
		}
	}
	f := Figure{Caption: "User memory per connection (less is better)"}
	f.SVG = bars(f.Caption, "KiB", list)
	return drawn([]Figure{f})
}

// figures are the origin's, for its largest number of connections.
func (o *Origin) figures(c colours) []Figure {
	most := 0
	for _, r := range o.Rows {
		most = max(most, r.Connections)
	}
	chart := func(get func(*OriginRow) float64, unit, caption string) Figure {
		var list []bar
		for _, r := range o.Rows {
			if r.Connections == most && r.Skipped == "" {
				list = append(list, bar{name: r.Target, hue: c[r.Target], value: get(r)})
			}
		}
		caption = thousands(most) + " connections: " + caption
		return Figure{Caption: caption, SVG: bars(caption, unit, list)}
	}
	return drawn([]Figure{
		chart(func(r *OriginRow) float64 { return r.AtOnce }, "requests", "requests that wait at once (more is better)"),
		chart(func(r *OriginRow) float64 { return float64(r.Memory) / (1 << 20) }, "MiB", "user memory of all processes"),
		chart(func(r *OriginRow) float64 { return float64(r.Processes) }, "processes", "processes"),
	})
}

func drawn(list []Figure) []Figure {
	var keep []Figure
	for _, f := range list {
		if f.SVG != "" {
			keep = append(keep, f)
		}
	}
	return keep
}
