package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

type tourCmd struct {
	answerOptions
	Endpoint string `placeholder:"URL" help:"Visit this server, with the environment's AWS credentials; without it, one that is started for the tour, with the other flags."`
	JSON     bool   `name:"json" xor:"form" help:"Print JSON."`
	Markdown bool   `xor:"form" help:"Print the table that the README has."`
}

func (tourCmd) Help() string {
	return `Examples:

  outcrop tour
  outcrop tour --upstream scripted
  outcrop tour --endpoint http://127.0.0.1:4141

Each promise of the page "Claude on Amazon Bedrock" is executed through the front
door, with signed requests. The exit code is 1 when one that should work does not.`
}

func (c *tourCmd) Run(ctx context.Context, con console) error {
	v, leave, err := c.visit(ctx, con)
	if err != nil {
		return err
	}
	defer leave()
	t := &tour{visit: v, con: con}
	switch {
	case c.JSON:
		t.run(ctx, func(stop) {})
		err = con.writeJSON(t.stops)
	case c.Markdown:
		t.run(ctx, func(stop) {})
		err = t.markdown(con.Out)
	default:
		fmt.Fprintf(con.Out, "The page, executed on %s\n", v)
		t.run(ctx, func(s stop) { s.print(con.Out) })
		t.sum(con.Out)
	}
	if err == nil && t.count(failed) > 0 {
		err = exitCode(exitFailed)
	}
	return err
}

// visit goes to the endpoint, or to a server with a data folder of its own.
func (c *tourCmd) visit(ctx context.Context, con console) (*visit, func(), error) {
	if c.Endpoint != "" {
		v, err := visitEndpoint(ctx, c.Endpoint)
		return v, func() {}, err
	}
	if c.Strict {
		fmt.Fprintln(con.Err, "outcrop: the tour shows the page; --strict would refuse its ids and is left out")
		c.Strict = false
	}
	c.Access = "all" // the page's reader has subscribed
	dir, err := os.MkdirTemp("", "outcrop-tour-")
	if err != nil {
		return nil, nil, err
	}
	remove := func() { os.RemoveAll(dir) }
	bucket := filepath.Join(dir, "bucket")
	if c.Destinations = nil; !c.ActivityOff { // what the tour says goes nowhere else
		c.Destinations = destinations{tourBucket: {Folder: bucket}}
	}
	o := &serveOptions{Listen: "127.0.0.1:0", dataOption: dataOption{Data: filepath.Join(dir, "data")}, answerOptions: c.answerOptions, Log: "off", temporary: true}
	s, err := startServer(o, con)
	if err != nil {
		remove()
		return nil, nil, err
	}
	leave := func() {
		_ = s.shutdown()
		remove()
	}
	v, err := visitServer(s, o)
	if err != nil {
		leave()
		return nil, nil, err
	}
	v.own = true
	if s.archive != nil {
		v.log = &keptLog{archive: s.archive, days: c.ActivityRetention, folder: activityDir(o.Data), bucket: bucket, flush: s.flush}
	}
	if s.Note != "" {
		fmt.Fprintln(con.Err, "outcrop:", s.Note)
	}
	return v, leave, nil
}

// promise is one row of the page: what it says, and how that is shown.
type promise struct {
	row     int
	says    string // what the page promises
	means   string // what that is here
	command string // what shows it
	later   string // what of it is not built yet
	// check shows it and gives the answer in a line. nil: none of it is built.
	check func(context.Context, *visit) (string, error)
}

type result string

const (
	kept    result = "ok"
	failed  result = "FAIL"
	skipped result = "skip"
)

// stop is a promise as it was met.
type stop struct {
	Row     int    `json:"row"`
	Says    string `json:"page"`
	Means   string `json:"means"`
	Command string `json:"command,omitempty"`
	Result  result `json:"result"`
	Answer  string `json:"answer,omitempty"`
	Later   string `json:"not_built_yet,omitempty"`
}

type tour struct {
	visit *visit
	con   console
	stops []stop
}

// stopTime bounds one row; the local model's first answer loads the model.
const stopTime = 3 * time.Minute

func (t *tour) run(ctx context.Context, each func(stop)) {
	for _, p := range promises() {
		s := stop{Row: p.row, Says: p.says, Means: p.means, Command: p.command, Result: skipped, Later: p.later}
		if p.check != nil {
			s.Result, s.Answer = t.meet(ctx, p)
		}
		t.stops = append(t.stops, s)
		each(s)
	}
}

func (t *tour) meet(ctx context.Context, p promise) (result, string) {
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	answer, err := p.check(ctx, t.visit)
	if why, ok := errors.AsType[skip](err); ok {
		return skipped, oneLine("SKIPPED: " + string(why))
	}
	if err != nil {
		return failed, oneLine(err.Error())
	}
	return kept, oneLine(answer)
}

func (t *tour) count(r result) int {
	n := 0
	for _, s := range t.stops {
		if s.Result == r {
			n++
		}
	}
	return n
}

func (t *tour) inPart() int {
	n := 0
	for _, s := range t.stops {
		if s.Result == kept && s.Later != "" {
			n++
		}
	}
	return n
}

// notHere counts the rows that are built, and that this server cannot show.
func (t *tour) notHere() int {
	n := 0
	for _, s := range t.stops {
		if s.Result == skipped && s.Answer != "" {
			n++
		}
	}
	return n
}

func (s stop) print(w io.Writer) {
	mark := map[result]string{kept: "✓", failed: "✗ FAIL", skipped: "–"}[s.Result]
	fmt.Fprintf(w, "\n%2d %s %s\n", s.Row, mark, s.Says)
	if s.Command != "" {
		fmt.Fprintf(w, "     $ %s\n", s.Command)
	}
	if s.Answer != "" {
		fmt.Fprintf(w, "     %s\n", s.Answer)
	}
	if s.Later != "" {
		fmt.Fprintf(w, "     not built yet: %s\n", s.Later)
	}
}

func (t *tour) sum(w io.Writer) {
	fmt.Fprintf(w, "\n%d of %d rows work, %d of them in part; %d not built yet; %d cannot be shown here; %d failed\n",
		t.count(kept), len(t.stops), t.inPart(), t.count(skipped)-t.notHere(), t.notHere(), t.count(failed))
}

// markdown leaves out answers, which change from run to run.
func (t *tour) markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| # | The page says | Here | Shown by | |\n|---|---|---|---|---|\n")
	for _, s := range t.stops {
		state := map[result]string{kept: "✓", failed: "**FAIL**", skipped: s.Answer}[s.Result]
		if s.Later != "" {
			state = strings.TrimSpace(state + " not yet: " + s.Later)
		}
		command := ""
		if s.Command != "" {
			command = "`" + s.Command + "`"
		}
		cells := []string{fmt.Sprint(s.Row), s.Says, s.Means, command, state}
		for i, cell := range cells {
			cells[i] = strings.ReplaceAll(cell, "|", `\|`)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// oneLine keeps an answer in its place: a model may say anything.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	const most = 160
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}
