package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"key": func(i int) template.CSS { return template.CSS(fmt.Sprintf("background:var(--s%d)", i)) },
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
	Sub              bool // of the chapter before
	Verdicts         []string
	Figures          []Figure
	Head             []string
	Rows             [][]string
	Notes            []string
}

func (s *Scenario) section(c colours) section {
	x := section{ID: s.Name, Title: s.Title, Verdicts: s.Verdicts, Figures: s.figures(c), Notes: s.Notes}
	x.Head, x.Rows = s.Table()
	return x
}

func (i *Idle) section(c colours) section {
	x := section{ID: fmt.Sprintf("idle%d", i.Connections), Title: i.Title(), Figures: i.figures(c), Notes: i.Notes()}
	x.Head, x.Rows = i.Table()
	return x
}

func (o *Origin) sections(c colours) []section {
	x := section{ID: "origin", Title: OriginTitle, Intro: o.Intro(), Figures: o.figures(c), Notes: o.Notes}
	x.Head, x.Rows = o.Table()
	list := []section{x}
	if o.Idle != nil {
		idle := o.Idle.section(c)
		idle.Intro = OriginNumbers
		list = append(list, idle)
	}
	if o.Active != nil {
		list = append(list, o.Active.section(c))
	}
	for i := range list[1:] {
		list[i+1].Sub, list[i+1].ID = true, "origin-"+list[i+1].ID
	}
	return list
}

// WriteHTML writes the report as one page that needs no network.
func (r *Report) WriteHTML(w io.Writer) error {
	c := r.colours()
	data := struct {
		*Report
		Cut      string
		Overview []Figure
		Sections []section
	}{Report: r, Overview: r.overview(c)}
	if r.Interrupted {
		data.Cut = Interrupted
	}
	for _, s := range r.Scenarios {
		data.Sections = append(data.Sections, s.section(c))
	}
	for _, i := range r.Idle {
		data.Sections = append(data.Sections, i.section(c))
	}
	if r.Origin != nil {
		data.Sections = append(data.Sections, r.Origin.sections(c)...)
	}
	return page.Execute(w, data)
}
