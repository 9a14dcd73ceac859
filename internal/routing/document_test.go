package routing

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the simulation's figures to docs/routing.md and its plot to docs/routing.svg")

const (
	docFile  = "../../docs/routing.md"
	plotFile = "../../docs/routing.svg"
	docFrom  = "<!-- simulation: made by go test ./internal/routing -run TestDocument -update -->\n"
	docTo    = "<!-- end of simulation -->\n"
)

// TestDocument runs the sweep whose figures stand in docs/routing.md.
func TestDocument(t *testing.T) {
	ps := simPolicies(t, "global.anthropic.claude-opus-4-6-v1")
	results := make([][]simResult, len(ps))
	for i, p := range ps {
		for _, load := range simLoads() {
			results[i] = append(results[i], simulate(t, load, 1, p))
		}
	}
	table, plot := simTable(ps, results), simPlot(ps, results)
	doc, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(doc, []byte(docFrom))
	old, after, ok2 := bytes.Cut(rest, []byte(docTo))
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the figures", docFile)
	}
	if *update {
		doc = append([]byte{}, before...)
		doc = append(append(append(append(doc, docFrom...), table...), docTo...), after...)
		if err := os.WriteFile(docFile, doc, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(plotFile, plot, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if runtime.GOARCH != "amd64" {
		t.Skipf("the figures were made on amd64; %s rounds differently", runtime.GOARCH)
	}
	drawn, err := os.ReadFile(plotFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(old, table) || !bytes.Equal(drawn, plot) {
		t.Errorf("docs/routing.md is out of date; run the test with -update. The figures are now\n%s", table)
	}
}

func simTable(ps []simPolicy, results [][]simResult) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d calls in %s, after %s of warm-up. Each cell: share of the calls refused, share of the tokens refused, 429s that the service gave.\n\n", results[0][0].calls, simTime-simWarm, simWarm)
	b.WriteString("| load | unavoidable |")
	for _, p := range ps {
		b.WriteString(" " + p.name + " |")
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(ps)) + "\n")
	for j, load := range simLoads() {
		fmt.Fprintf(&b, "| %.0f %% | %.1f %% of tokens |", 100*load, 100*unavoidable(load))
		for i := range ps {
			r := results[i][j]
			fmt.Fprintf(&b, " %.2f %%, %.1f %%, %d |", 100*r.share(), 100*r.lost, r.upstream)
		}
		b.WriteString("\n")
	}
	longest := time.Duration(0)
	for _, row := range results[1:] {
		for _, r := range row {
			longest = max(longest, r.waited)
		}
	}
	fmt.Fprintf(&b, "\nA call of Outcrop's that was served had waited %s at most in the mean, round-robin's %s.\n", longest.Round(time.Millisecond), results[0][len(results[0])-1].waited.Round(time.Millisecond))
	b.WriteString("\n![Refused tokens by load](routing.svg)\n")
	return b.Bytes()
}

// simPlot draws the share of tokens refused over the load.
func simPlot(ps []simPolicy, results [][]simResult) []byte {
	const left, top, width, height, most = 60.0, 50.0, 560.0, 300.0, 35.0
	x := func(load float64) float64 { return left + width*(load-0.5) }
	y := func(percent float64) float64 { return top + height*(1-percent/most) }
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 660 470" font-family="system-ui,sans-serif" font-size="13" role="img">
<title>Tokens refused, by load</title>
<rect width="660" height="470" fill="#fff"/>
<text x="%g" y="28" font-size="15" font-weight="600" fill="#222">Tokens refused to the client, by load on three Regions (quotas 1:2:4)</text>
`, left)
	for p := 0.0; p <= most; p += 5 {
		fmt.Fprintf(&b, `<line x1="%g" y1="%.1f" x2="%g" y2="%.1f" stroke="#e4e4e4"/><text x="%g" y="%.1f" text-anchor="end" fill="#555">%g %%</text>`+"\n", left, y(p), left+width, y(p), left-8, y(p)+4, p)
	}
	for _, load := range simLoads() {
		fmt.Fprintf(&b, `<text x="%.1f" y="%g" text-anchor="middle" fill="#555">%.0f %%</text>`+"\n", x(load), top+height+20, 100*load)
	}
	draw := func(i int, name, style string, value func(j int) float64) {
		b.WriteString(`<polyline fill="none" ` + style + ` points="`)
		for j, load := range simLoads() {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(load), y(100*value(j)))
		}
		at := top + height + 45 + 18*float64(i)
		fmt.Fprintf(&b, `"/><line x1="%g" y1="%g" x2="%g" y2="%g" %s/><text x="%g" y="%g" fill="#222">%s</text>`+"\n", left, at, left+30, at, style, left+40, at+4, name)
	}
	styles := []string{`stroke="#c2410c" stroke-width="2"`, `stroke="#1d4ed8" stroke-width="3"`, `stroke="#0f766e" stroke-width="2" stroke-dasharray="6 3"`}
	for i, s := range styles {
		draw(i, ps[i].name, s, func(j int) float64 { return results[i][j].lost })
	}
	draw(len(styles), "unavoidable", `stroke="#888" stroke-width="1" stroke-dasharray="2 3"`, func(j int) float64 { return unavoidable(simLoads()[j]) })
	b.WriteString("</svg>\n")
	return b.Bytes()
}
