package report

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Colours that plots are drawn in and that the page's style sheet then
// replaces, so that one picture serves in light and in dark mode.
var (
	ink  = color.RGBA{R: 1, G: 2, B: 3, A: 255}
	grid = color.RGBA{R: 4, G: 5, B: 6, A: 255}
)

// hues is how many colours for servers the style sheet has.
const hues = 12

func hue(i int) color.RGBA { return color.RGBA{R: 7, G: 8, B: uint8(16 + i%hues), A: 255} }

// restyle replaces the colours and the font by the style sheet's.
var restyle = func() *strings.Replacer {
	pairs := []string{hex(ink), "var(--ink)", hex(grid), "var(--grid)",
		"font-family:Liberation Sans", fonts, "font-family:'Liberation Sans'", fonts}
	for i := range hues {
		pairs = append(pairs, hex(hue(i)), fmt.Sprintf("var(--s%d)", i))
	}
	return strings.NewReplacer(pairs...)
}()

// fonts have the widths that the plots were laid out with, or nearly.
const fonts = "font-family:'Liberation Sans',Arimo,Arial,Helvetica,sans-serif"

func hex(c color.RGBA) string { return fmt.Sprintf("#%02X%02X%02X", c.R, c.G, c.B) }

// Widths and heights are in points, which the page scales to its width: small
// pictures stay readable on a phone.
const (
	width      = 380
	plotHeight = 250
	barHeight  = 22
)

// newPlot returns an empty plot in our style.
func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Color, a.Tick.Color = grid, grid
		a.Label.TextStyle.Color, a.Tick.Label.Color = ink, ink
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = font.Points(11), font.Points(11)
		a.Padding = 3
	}
	return p
}

// render draws the plot as an SVG element for a page.
func render(p *plot.Plot, height int, title string) template.HTML {
	c := vgsvg.New(width, vg.Length(height))
	p.Draw(draw.New(c))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return template.HTML("<p>" + template.HTMLEscapeString(err.Error()) + "</p>")
	}
	text := restyle.Replace(b.String())
	text = text[max(0, strings.Index(text, "<svg")):] // no XML declaration inside HTML
	label := fmt.Sprintf("<svg role=\"img\" aria-label=\"%s\" ", template.HTMLEscapeString(title))
	return template.HTML(strings.Replace(text, "<svg ", label, 1)) //nolint:gosec // drawn here from numbers and our own words
}

// bar is one row of a bar chart, from Low to High in its rounds.
type bar struct {
	name             string
	hue              int
	value, low, high float64
}

// bars draws a horizontal bar for each, the first on top, with its value.
func bars(title, unit string, list []bar) template.HTML {
	if len(list) == 0 {
		return ""
	}
	p := newPlot(unit, "")
	most := 0.0
	var names []string
	labels := plotter.XYLabels{}
	for i := range list {
		b := list[len(list)-1-i] // drawn from below
		// fonts of other machines are up to a fifth wider than what is laid out
		names = append(names, b.name+strings.Repeat(" ", 1+len(b.name)/3))
		most = max(most, b.value, b.high)
		chart, err := plotter.NewBarChart(plotter.Values{b.value}, 13)
		if err != nil {
			continue // not a number: the table says why
		}
		chart.Horizontal, chart.XMin = true, float64(i)
		chart.Color, chart.LineStyle.Width = hue(b.hue), 0
		p.Add(chart)
		if b.high > b.low {
			if e, err := plotter.NewXErrorBars(span{{b.value, float64(i), b.value - b.low, b.high - b.value}}); err == nil {
				e.Color, e.CapWidth = ink, 4
				p.Add(e)
			}
		}
		labels.XYs = append(labels.XYs, plotter.XY{X: max(b.value, b.high), Y: float64(i)})
		labels.Labels = append(labels.Labels, figure(b.value))
	}
	if l, err := plotter.NewLabels(labels); err == nil {
		l.Offset.X = 5
		for i := range l.TextStyle {
			l.TextStyle[i].Color, l.TextStyle[i].Font.Size, l.TextStyle[i].YAlign = ink, font.Points(10), draw.YCenter
		}
		p.Add(l)
	}
	p.NominalY(names...)
	p.X.Min, p.X.Max = 0, max(most*1.25, 1e-9) // room for the values
	p.X.Tick.Marker = plot.TickerFunc(fewTicks)
	p.Y.Min, p.Y.Max = -0.6, float64(len(list))-0.4
	return render(p, 45+barHeight*len(list), title)
}

// figure is short with separators.
func figure(v float64) string {
	if v >= 1000 || v == math.Trunc(v) {
		return thousands(int(v + 0.5))
	}
	return short(v)
}

// span is a value with its lowest and highest, for error bars.
type span []struct{ x, y, below, above float64 }

func (s span) Len() int                        { return len(s) }
func (s span) XY(i int) (float64, float64)     { return s[i].x, s[i].y }
func (s span) XError(i int) (float64, float64) { return s[i].below, s[i].above }

// series is one line of a chart.
type series struct {
	name   string
	hue    int
	points plotter.XYs
}

// lines draws the series with both axes logarithmic, or x as marks say.
func lines(title string, p *plot.Plot, list []series, marks []plot.Tick) template.HTML {
	drawn := 0
	for _, s := range list {
		if len(s.points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(s.points)
		if err != nil {
			continue
		}
		line.Color, line.Width = hue(s.hue), 1.6
		if s.hue >= hues { // the second time around
			line.Dashes = []vg.Length{4, 3}
		}
		dots.Color, dots.Shape, dots.Radius = hue(s.hue), draw.CircleGlyph{}, 2
		p.Add(line, dots)
		drawn++
	}
	if drawn == 0 {
		return ""
	}
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(logTicks)
	p.Y.Min, p.Y.Max = p.Y.Min/1.15, p.Y.Max*1.15
	if marks != nil {
		p.X.Tick.Marker = plot.ConstantTicks(marks)
		p.X.Max = marks[len(marks)-1].Value * 1.13 // room for its label
	} else {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(logTicks)
	}
	lattice := plotter.NewGrid()
	lattice.Horizontal.Color, lattice.Vertical.Color = grid, grid
	p.Add(lattice)
	return render(p, plotHeight, title)
}

// fewTicks are about four round numbers from 0.
func fewTicks(_, high float64) []plot.Tick {
	step := math.Pow(10, math.Floor(math.Log10(high/2)))
	for _, f := range []float64{5, 2} {
		if high/(step*f) >= 3 {
			step *= f
			break
		}
	}
	var ticks []plot.Tick
	for v := 0.0; v <= high; v += step {
		ticks = append(ticks, plot.Tick{Value: v, Label: compact(v)})
	}
	return ticks
}

// logTicks are 1, 2 and 5 of every decade, or the decades alone if those are many.
func logTicks(low, high float64) []plot.Tick {
	if low <= 0 {
		return nil
	}
	factors := []float64{1, 2, 5}
	if high/low > 2e3 {
		factors = factors[:1]
	}
	var ticks []plot.Tick
	for decade := math.Pow(10, math.Floor(math.Log10(low))); decade <= high; decade *= 10 {
		for _, f := range factors {
			if v := decade * f; v >= low && v <= high {
				ticks = append(ticks, plot.Tick{Value: v, Label: compact(v)})
			}
		}
	}
	return ticks
}

// compact prints 12000 as 12k.
func compact(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", round(v/1e6))
	case v >= 1e3:
		return fmt.Sprintf("%gk", round(v/1e3))
	}
	return fmt.Sprintf("%g", round(v))
}

func round(v float64) float64 { return math.Round(v*1e4) / 1e4 }
