package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// ownPrices are the operator's, over those of the list.
type ownPrices []catalog.Override

// UnmarshalText reads the JSON that the configuration file's list becomes, and
// holds it to the catalog, so that config check finds what is wrong.
func (p *ownPrices) UnmarshalText(text []byte) error {
	if err := readEntries("prices", text, (*[]catalog.Override)(p)); err != nil {
		return err
	}
	_, err := catalog.Load(*p...)
	return err
}

// bookOptions are of commands beside a server that tell prices: those that the
// configuration file has changed, too.
type bookOptions struct {
	Config string    `type:"path" placeholder:"FILE" help:"Configuration file whose prices hold; default: the one that serve reads."`
	Prices ownPrices `placeholder:"JSON" help:"Prices of your own, as the list prices of outcrop.yaml."`
}

// BeforeResolve takes the prices of the configuration file, and nothing else of
// it.
func (o *bookOptions) BeforeResolve(k *kong.Kong, ctx *kong.Context) error {
	s, err := settingsOf(k, ctx)
	if err != nil {
		return err
	}
	if prices, ok := s["prices"]; ok {
		ctx.AddResolver(settings{"prices": prices}.resolver())
	}
	return nil
}

func (o *bookOptions) catalog() (*catalog.Catalog, error) { return catalog.Load(o.Prices...) }

type priceCmd struct {
	List priceListCmd `cmd:"" default:"withargs" help:"Print the price book, with dates and sources."`
}

func (priceCmd) Help() string {
	return `Examples:

  outcrop price
  outcrop price claude-opus-4-6

Without a command it lists: outcrop price is outcrop price list, and takes its flags.`
}

type priceListCmd struct {
	Model string `arg:"" optional:"" help:"Only this model, by any id."`
	bookOptions
	farOption `set:"here=the list, with your own prices,"`
	JSON      bool `name:"json" help:"Print JSON."`
}

func (priceListCmd) Help() string {
	return `Examples:

  outcrop price list
  outcrop price list claude-opus-4-6
  outcrop price list --json | jq '.prices[] | select(.endpoint=="global")'

Dollars per million tokens. Two lines for the same endpoint are of different days, or
of prompts up to a length and over it (the whole request goes by that price). BATCH is
what a line of a batch job costs of it. A * marks a price of your own (prices in
outcrop.yaml). Records keep the cost of their day.`
}

// bookRow is a line of the price book.
type bookRow struct {
	Model    string   `json:"model"`
	Endpoint string   `json:"endpoint"` // both kinds where they cost the same
	Over     int64    `json:"prompt_over,omitempty"`
	UpTo     int64    `json:"prompt_up_to,omitempty"`
	From     string   `json:"from,omitempty"`
	Until    string   `json:"until,omitempty"`
	Rates    ratesRow `json:"usd_per_million_tokens"`
	Batch    int64    `json:"batch_percent,omitempty"`
	Own      []string `json:"own,omitempty"` // classes whose price is the operator's

	own  catalog.Own
	long bool
}

func (c *priceListCmd) Run(ctx context.Context, con console) error {
	book, err := c.book(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return con.writeJSON(book)
	}
	return printBook(con.Out, book)
}

func (c *priceListCmd) book(ctx context.Context) (priceBook, error) {
	if c.Endpoint != "" {
		far, err := newAdminClient(ctx, c.Endpoint)
		if err != nil {
			return priceBook{}, err
		}
		return far.Prices(ctx, c.Model)
	}
	cat, err := c.catalog()
	if err != nil {
		return priceBook{}, err
	}
	return bookOf(cat, c.Model)
}

// priceBook is the book as JSON, here and in the admin API.
type priceBook struct {
	AsOf    string      `json:"as_of"`
	Prices  []bookRow   `json:"prices"`
	Sources []sourceRow `json:"sources"`
}

// bookOf is the book of one model, or of all of them.
func bookOf(cat *catalog.Catalog, model string) (priceBook, error) {
	models := cat.Models()
	if model != "" {
		m, ok := cat.Lookup(model)
		if !ok {
			return priceBook{}, messages.Errorf(messages.NotFound, "no Claude model on Amazon Bedrock has the id %q", model).WithHint("outcrop models lists them")
		}
		models = []*catalog.Model{m}
	}
	book := priceBook{AsOf: date(cat.AsOf()), Prices: []bookRow{}, Sources: priceSources(models, model != "")}
	for _, m := range models {
		book.Prices = append(book.Prices, bookRows(m)...)
	}
	return book, nil
}

// bookRows lists every price of a model: kinds of endpoint that cost the same
// stand together.
func bookRows(m *catalog.Model) (rows []bookRow) {
	from := m.Lifecycle.Start
	for _, row := range m.PriceRows {
		kinds := []struct {
			name  string
			price catalog.Price
		}{{catalog.Global.String(), row.Global}, {catalog.Geo.String(), row.Geo}, {catalog.InRegion.String(), row.InRegion}}
		for i := 0; i < len(kinds); i++ {
			k := kinds[i]
			names := []string{k.name}
			for i+1 < len(kinds) && kinds[i+1].price == k.price {
				i++
				names = append(names, kinds[i].name)
			}
			one := bookRow{Model: m.ID, Endpoint: strings.Join(names, ", "), UpTo: k.price.LongOver, From: date(from), Until: date(row.Until),
				Rates: newRatesRow(k.price.Rates), Batch: k.price.BatchPercent, own: k.price.Own}
			one.Own = one.owned()
			rows = append(rows, one)
			if k.price.LongOver > 0 {
				one.UpTo, one.Over, one.long = 0, k.price.LongOver, true
				one.Rates = newRatesRow(k.price.Long)
				one.Own = one.owned()
				rows = append(rows, one)
			}
		}
		from = row.Until
	}
	return rows
}

func (r *bookRow) owned() (classes []string) {
	for i, class := range catalog.Classes() {
		if r.own.Has(i, r.long) {
			classes = append(classes, class)
		}
	}
	return classes
}

// priceSources are where the prices stand in public, and for one model where all
// that is known of it does.
func priceSources(models []*catalog.Model, all bool) (rows []sourceRow) {
	for _, m := range models {
		for _, s := range m.Sources {
			row := sourceRow{s.Title, s.URL, s.Date}
			if (all || s.Key == "pricing") && !slices.Contains(rows, row) {
				rows = append(rows, row)
			}
		}
	}
	return rows
}

func printBook(out io.Writer, book priceBook) error {
	w := table(out)
	fmt.Fprintln(w, "MODEL\tENDPOINT\tPROMPT\tINPUT\tWRITE 5M\tWRITE 1H\tREAD\tOUTPUT\tBATCH\tFROM\tUNTIL")
	own := false
	for _, r := range book.Prices {
		prompt := "any"
		switch {
		case r.Over > 0:
			prompt = "over " + tokens(r.Over)
		case r.UpTo > 0:
			prompt = "to " + tokens(r.UpTo)
		}
		fmt.Fprintf(w, "%s\t%s\t%s", r.Model, r.Endpoint, prompt)
		rates := []string{r.Rates.Input, r.Rates.CacheWrite5m, r.Rates.CacheWrite1h, r.Rates.CacheRead, r.Rates.Output}
		for i, class := range catalog.Classes() {
			text := orDash(rates[i])
			if slices.Contains(r.Own, class) {
				text, own = cmp.Or(rates[i], catalog.Nanodollars(0).USD())+"*", true
			}
			fmt.Fprintf(w, "\t%s", text)
		}
		batch := "-"
		if r.Batch > 0 {
			batch = fmt.Sprintf("%d%%", r.Batch)
		}
		fmt.Fprintf(w, "\t%s\t%s\t%s\n", batch, orDash(r.From), orDash(r.Until))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if own {
		fmt.Fprintln(out, "* your own")
	}
	fmt.Fprintf(out, "as of %s, from\n", book.AsOf)
	for _, s := range book.Sources {
		fmt.Fprintf(out, "  %s, %s: %s\n", s.Title, s.Date, s.URL)
	}
	return nil
}
