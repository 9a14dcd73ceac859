package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"

	"github.com/outcrop-dev/outcrop/internal/nearest"
)

// settings are the members of outcrop.yaml: the flags of serve, with "_" for
// "-". A flag wins over the environment, which wins over the file.
type settings map[string]any

func readSettings(r io.Reader) (settings, error) {
	raw, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return nil, err
	}
	s := settings{}
	if len(bytes.TrimSpace(raw)) == 0 {
		return s, nil
	}
	if err := yaml.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("%s", strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	return s, nil
}

// check holds s to the flags of the command.
func (s settings) check(flags []*kong.Flag) error {
	var known []string
	for _, f := range flags {
		if f.Name != "help" && f.Name != "config" {
			known = append(known, strings.ReplaceAll(f.Name, "-", "_"))
		}
	}
	for name := range s {
		if !slices.Contains(known, name) {
			return fmt.Errorf("unknown key %q%s", name, nearKey(name, known))
		}
	}
	return nil
}

// resolver gives kong the file's value of a flag that neither the command line
// nor the environment sets.
func (s settings) resolver() kong.Resolver {
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, name := range flag.Envs {
			if _, ok := os.LookupEnv(name); ok {
				return nil, nil
			}
		}
		v, ok := s[strings.ReplaceAll(flag.Name, "-", "_")]
		if !ok {
			return nil, nil
		}
		if m, ok := v.(map[string]any); ok {
			raw, err := json.Marshal(m)
			return string(raw), err
		}
		if list, ok := v.([]any); ok {
			if slices.ContainsFunc(list, func(x any) bool { _, ok := x.(map[string]any); return ok }) {
				raw, err := json.Marshal(list)
				return string(raw), err
			}
			parts := make([]string, len(list))
			for i, p := range list {
				parts[i] = fmt.Sprint(p)
			}
			return strings.Join(parts, ","), nil
		}
		return fmt.Sprint(v), nil
	})
}

// near is what a name was meant to be, if one that is known is near.
func near(name string, known []string) string {
	if best := nearest.Word(name, known); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return ""
}

// nearKey is near, or all keys: there are few.
func nearKey(name string, known []string) string {
	if meant := near(name, known); meant != "" {
		return meant
	}
	return "; the keys are " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}

// configPath is the file that serve reads when none is named: it may be absent.
func configPath() string {
	if p := os.Getenv("OUTCROP_CONFIG"); p != "" {
		return p
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "outcrop", "outcrop.yaml")
}

// loadSettings reads path; without one, the default file if it is there.
func loadSettings(path string) (settings, string, error) {
	named := path != ""
	if !named {
		path = configPath()
		named = os.Getenv("OUTCROP_CONFIG") != ""
	}
	f, err := os.Open(path)
	if os.IsNotExist(err) && !named {
		return settings{}, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("config: %w", err)
	}
	defer f.Close()
	s, err := readSettings(f)
	if err != nil {
		return nil, "", fmt.Errorf("config %s: %w", path, err)
	}
	return s, path, nil
}

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Check a configuration file and print what it sets."`
}

func (configCmd) Help() string {
	return `Examples:

  outcrop config check
  outcrop config check outcrop.yaml

The keys of the file are the flags of outcrop serve, with _ for -.`
}

type configCheckCmd struct {
	File string `arg:"" optional:"" type:"path" help:"File to check; the one that serve would read without it."`
}

func (configCheckCmd) Help() string {
	return `Examples:

  outcrop config check
  outcrop config check outcrop.yaml

Such a file may be:

  upstream: bedrock
  allow_regions: [eu-west-1, eu-central-1]
  limit_usd_per_day: 5`
}

func (c configCheckCmd) Run(con console) error {
	s, path, err := loadSettings(c.File)
	if err != nil {
		return err
	}
	if path == "" {
		fmt.Fprintf(con.Err, "no configuration file (%s); the defaults hold\n", configPath())
		return nil
	}
	parser, err := newParser(new(cli), console{Out: io.Discard, Err: io.Discard})
	if err != nil {
		return err
	}
	if _, err := parser.Parse([]string{"serve", "--config", path}); err != nil {
		return errors.New(err.Error()) // the file is wrong, and not this command line
	}
	names := make([]string, 0, len(s))
	for name := range s {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		v := s[name]
		if name == "upstream_key" || name == "bedrock_key" {
			v = "(secret)"
		}
		switch v.(type) {
		case map[string]any, []any:
			line, err := yaml.MarshalWithOptions(v, yaml.Flow(true))
			if err != nil {
				return err
			}
			v = strings.TrimSpace(string(line))
		default:
		}
		fmt.Fprintf(con.Out, "%s: %v\n", name, v)
	}
	fmt.Fprintf(con.Err, "%s is good\n", path)
	return nil
}
