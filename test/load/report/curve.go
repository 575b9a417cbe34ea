package report

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"text/template"

	"noteworks.dev/test/load/measure"
)

// Curve says what to draw of a result: one point for each row that has both values.
type Curve struct {
	// File is its name, without the extension.
	File, Title    string
	X, Y           string // the axes in words
	XKey           string
	Lines          []Line
	XScale, YScale Scale
	// Target is a height that a dashed line marks, 0 for none; TargetName says what it is.
	Target     float64
	TargetName string
}

// Line is one line of a curve, by the key of its values.
type Line struct{ Name, Key string }

// Scale is how an axis is divided.
type Scale int

// A logarithmic scale has a tick at each power of ten, or of two where the axis is short.
const (
	Linear Scale = iota
	Logarithmic
)

const (
	width, height            = 720, 400
	left, right, top, bottom = 70, 20, 56, 50
)

// drawing is what the template gets: everything in pixels.
type drawing struct {
	Curve
	Width, Height, Left, Right, Top, Bottom int
	XTicks, YTicks                          []mark
	Paths                                   []path
	TargetAt                                float64
}

type mark struct {
	At    float64
	Label string
}

type path struct {
	Name, Class string
	D           string
	Points      []point
	Legend      int
}

type point struct{ X, Y float64 }

// SVG draws the curve: a picture that stands on light and on dark pages. The error says that there is nothing to draw.
func SVG(r *measure.Result, c Curve) (string, error) {
	d := drawing{Curve: c, Width: width, Height: height, Left: left, Right: width - right, Top: top, Bottom: height - bottom}
	x, y := extent{c.XScale, math.Inf(1), math.Inf(-1)}, extent{c.YScale, math.Inf(1), math.Inf(-1)}
	for _, l := range c.Lines {
		for _, row := range r.Rows {
			if px, py, ok := values(row, c.XKey, l.Key); ok {
				x.add(px)
				y.add(py)
			}
		}
	}
	if math.IsInf(x.low, 1) {
		return "", fmt.Errorf("%s: there is no point to draw", c.File)
	}
	if c.Target > 0 {
		y.add(c.Target)
	}
	y.round()
	across := func(v float64) float64 { return left + x.part(v)*float64(d.Right-left) }
	up := func(v float64) float64 { return float64(d.Bottom) - y.part(v)*float64(d.Bottom-top) }
	for i, l := range c.Lines {
		p := path{Name: l.Name, Class: fmt.Sprintf("l%d", i), Legend: left + i*150}
		for _, row := range r.Rows {
			if px, py, ok := values(row, c.XKey, l.Key); ok {
				p.Points = append(p.Points, point{across(px), up(py)})
			}
		}
		p.D = line(p.Points)
		d.Paths = append(d.Paths, p)
	}
	for _, v := range x.ticks() {
		d.XTicks = append(d.XTicks, mark{across(v), short(v)})
	}
	for _, v := range y.ticks() {
		d.YTicks = append(d.YTicks, mark{up(v), short(v)})
	}
	d.TargetAt = up(c.Target)
	var out bytes.Buffer
	if err := picture().Execute(&out, d); err != nil {
		return "", err
	}
	return out.String(), nil
}

func values(row measure.Row, xKey, yKey string) (x, y float64, ok bool) {
	x, hasX := row.Values[xKey]
	y, hasY := row.Values[yKey]
	return x, y, hasX && hasY
}

// line joins points from left to right.
func line(points []point) string {
	sorted := append([]point{}, points...)
	for i := range sorted {
		for j := i; j > 0 && sorted[j].X < sorted[j-1].X; j-- {
			sorted[j], sorted[j-1] = sorted[j-1], sorted[j]
		}
	}
	var b strings.Builder
	for i, p := range sorted {
		fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(i, 1)], p.X, p.Y)
	}
	return b.String()
}

// extent is the range of an axis.
type extent struct {
	scale     Scale
	low, high float64
}

func (e *extent) add(v float64) {
	if e.scale == Logarithmic {
		v = max(v, 1e-3)
	}
	e.low, e.high = min(e.low, v), max(e.high, v)
}

// round widens the range to ticks; a linear one begins at 0.
func (e *extent) round() {
	if e.scale == Logarithmic {
		e.low, e.high = math.Pow(10, math.Floor(math.Log10(e.low))), math.Pow(10, math.Ceil(math.Log10(e.high)))
		if e.low == e.high {
			e.high *= 10
		}
		return
	}
	step := e.step()
	e.low, e.high = 0, math.Ceil(e.high/step)*step
}

// part is where v lies between low and high, 0 to 1.
func (e *extent) part(v float64) float64 {
	low, high := e.low, e.high
	if e.scale == Logarithmic {
		low, high, v = math.Log(low), math.Log(high), math.Log(max(v, 1e-3))
	}
	if high == low {
		return 0.5
	}
	return (v - low) / (high - low)
}

// step divides a linear range into four to ten parts of 1, 2 or 5 times a power of ten.
func (e *extent) step() float64 {
	if e.high <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(e.high)))
	for _, m := range []float64{0.1, 0.2, 0.5, 1} {
		if e.high/(unit*m) <= 8 {
			return unit * m
		}
	}
	return unit * 2
}

func (e *extent) ticks() (all []float64) {
	if e.scale == Linear {
		for v := e.low; v <= e.high*1.0001; v += e.step() {
			all = append(all, v)
		}
		return all
	}
	base, from := 10.0, math.Pow(10, math.Floor(math.Log10(e.low)))
	if e.high/e.low < 100 {
		base, from = 2, e.low
	}
	for v := from; v <= e.high*1.0001; v *= base {
		if v >= e.low*0.9999 {
			all = append(all, v)
		}
	}
	return all
}

// short is a number as a tick tells it.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%g M", round3(v/1e6))
	case v >= 10_000:
		return fmt.Sprintf("%g k", round3(v/1000))
	}
	return fmt.Sprintf("%g", round3(v))
}

func round3(v float64) float64 {
	if v == 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-2)
	return math.Round(v/unit) * unit
}

// picture has no background; its colours are legible on white and on black, and follow the page where the page says which it is.
func picture() *template.Template {
	return template.Must(template.New("curve").Funcs(template.FuncMap{"add": func(a, b int) int { return a + b }}).Parse(
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{.Width}} {{.Height}}" role="img" aria-label="{{html .Title}}" font-family="system-ui, sans-serif" font-size="12">
<style>
text { fill: #57606a } .title { font-size: 15px; font-weight: 600; fill: #24292f }
.grid { stroke: #8c959f; stroke-opacity: .35 } .target { stroke: #8c959f; stroke-dasharray: 6 4 }
path { fill: none; stroke-width: 2 } .l0 { stroke: #2f81f7 } .l1 { stroke: #d9730d } .l2 { stroke: #2da44e } .l3 { stroke: #a371f7 }
circle.l0 { fill: #2f81f7 } circle.l1 { fill: #d9730d } circle.l2 { fill: #2da44e } circle.l3 { fill: #a371f7 }
@media (prefers-color-scheme: dark) { text { fill: #9da7b1 } .title { fill: #e6edf3 } }
</style>
<text class="title" x="{{.Left}}" y="20">{{html .Title}}</text>
{{- range .Paths}}
<path class="{{.Class}}" d="M{{.Legend}} 38h18"/><text x="{{add .Legend 24}}" y="42">{{html .Name}}</text>
{{- end}}
{{- $d := .}}
{{- range .YTicks}}
<path class="grid" style="stroke-width:1" d="M{{$d.Left}} {{printf "%.1f" .At}}H{{$d.Right}}"/><text x="{{add $d.Left -8}}" y="{{printf "%.1f" .At}}" dy="4" text-anchor="end">{{.Label}}</text>
{{- end}}
{{- range .XTicks}}
<path class="grid" style="stroke-width:1" d="M{{printf "%.1f" .At}} {{$d.Bottom}}v5"/><text x="{{printf "%.1f" .At}}" y="{{add $d.Bottom 20}}" text-anchor="middle">{{.Label}}</text>
{{- end}}
{{- if .Target}}
<path class="target" style="stroke-width:1.5" d="M{{.Left}} {{printf "%.1f" .TargetAt}}H{{.Right}}"/><text x="{{.Right}}" y="{{printf "%.1f" .TargetAt}}" dy="-5" text-anchor="end">{{html .TargetName}}</text>
{{- end}}
{{- range $p := .Paths}}
<path class="{{$p.Class}}" d="{{$p.D}}"/>
{{- range $p.Points}}
<circle class="{{$p.Class}}" cx="{{printf "%.1f" .X}}" cy="{{printf "%.1f" .Y}}" r="3"/>
{{- end}}
{{- end}}
<text x="{{.Right}}" y="{{add .Height -8}}" text-anchor="end">{{html .X}}</text>
<text x="8" y="{{add .Top -2}}">{{html .Y}}</text>
</svg>
`))
}
