package report

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"key": func(i int) template.CSS { return template.CSS("background:var(--s" + string(rune('0'+i)) + ")") },
	"verdict": func(s string) string { // the class that colours a verdict
		switch {
		case strings.HasSuffix(s, "io_uring wins."):
			return "win"
		case strings.HasSuffix(s, "io_uring loses."):
			return "loss"
		}
		return "even"
	},
}).Parse(pageText))

// section is a chapter of the page.
type section struct {
	ID, Title, Intro string
	Verdicts         []string
	Figures          []Figure
	Head             []string
	Rows             [][]string
	Notes            []string
}

// WriteHTML writes the report as one page that needs no network.
func (r *Report) WriteHTML(w io.Writer) error {
	c := r.colours()
	data := struct {
		*Report
		Overview []Figure
		Sections []section
	}{Report: r, Overview: r.overview(c)}
	for _, s := range r.Scenarios {
		x := section{ID: s.Name, Title: s.Title, Verdicts: s.Verdicts, Figures: s.figures(c), Notes: s.Notes}
		x.Head, x.Rows = s.Table()
		data.Sections = append(data.Sections, x)
	}
	for _, i := range r.Idle {
		x := section{ID: "idle" + thousands(i.Connections), Title: thousands(i.Connections) + " idle connections", Figures: i.figures(c)}
		x.Head, x.Rows = i.Table()
		data.Sections = append(data.Sections, x)
	}
	if o := r.Origin; o != nil {
		x := section{ID: "origin", Title: OriginTitle, Intro: o.Intro(), Figures: o.figures(c), Notes: o.Notes}
		x.Head, x.Rows = o.Table()
		data.Sections = append(data.Sections, x)
	}
	return page.Execute(w, data)
}
