package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/outcrop-dev/outcrop/internal/catalog"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

func (completionCmd) Help() string {
	return `Commands, flags, their values and the models' ids, completed by the Tab key. Examples:

  source <(outcrop completion bash)                                     in ~/.bashrc
  source <(outcrop completion zsh)                                      in ~/.zshrc, after compinit
  outcrop completion fish > ~/.config/fish/completions/outcrop.fish     once`
}

// What a shell completes itself.
const (
	completeFiles   = ":files"
	completeFolders = ":folders"
)

// shells ask the program each time, so that a script outlives versions of it.
var shells = map[string]string{
	"bash": `_outcrop() {
  local line="${COMP_LINE:0:COMP_POINT}" current cut word
  local -a words
  read -r -a words <<<"$line"
  if [[ "$line" == *[[:space:]] ]]; then words+=(""); fi
  while (( ${#words[@]} > 1 )) && [[ "${words[0]##*/}" != "${1##*/}" ]]; do words=("${words[@]:1}"); done
  current="${words[${#words[@]}-1]}"
  # Readline has broken the word at these, and replaces what is behind the last.
  cut="${current%"${current##*[:=]}"}"
  COMPREPLY=()
  while IFS=$'\t' read -r word _; do
    case "$word" in
      ` + completeFiles + `|` + completeFolders + `) COMPREPLY=(); return ;; # readline's own
      *=) COMPREPLY+=("${word#"$cut"}"); compopt -o nospace 2>/dev/null ;;
      *) COMPREPLY+=("${word#"$cut"}") ;;
    esac
  done < <("${1/#\~/$HOME}" complete -- "${words[@]}" 2>/dev/null)
}
complete -o bashdefault -o default -F _outcrop outcrop
`,
	"zsh": `#compdef outcrop
_outcrop() {
  local line
  local -a described
  for line in "${(@f)$(${(Q)words[1]} complete -- "${(@Q)words[1,CURRENT]}" 2>/dev/null)}"; do
    case "$line" in
      ` + completeFiles + `) _files; return ;;
      ` + completeFolders + `) _files -/; return ;;
      ?*) described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
    esac
  done
  _describe -V outcrop described
}
if [[ "$funcstack[1]" == _outcrop ]]; then _outcrop "$@"; else compdef _outcrop outcrop; fi
`,
	"fish": `function __outcrop_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in ($words[1] complete -- $words 2>/dev/null)
    switch $line
      case '` + completeFiles + `'
        __fish_complete_path (commandline -ct)
      case '` + completeFolders + `'
        __fish_complete_directories (commandline -ct)
      case '*'
        echo $line
    end
  end
end
complete -c outcrop -f -a '(__outcrop_complete)'
`,
}

func (c completionCmd) Run(con console) error {
	_, err := io.WriteString(con.Out, shells[c.Shell])
	return err
}

// completeCmd is what the shells ask: the words so far, the program's name first
// and the last one begun. A line of the answer is a word, a tab and what it is.
type completeCmd struct {
	Words []string `arg:"" optional:"" passthrough:"" help:"The words of the command line."`
}

func (c *completeCmd) Run(con console, k *kong.Context) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) > 2 && words[1] == "help" {
		words = words[1:]
	}
	if len(words) < 2 {
		return nil
	}
	cat, err := catalog.Load()
	if err != nil {
		return err
	}
	for _, w := range (&completer{cat}).candidates(k.Model.Node, words[1:]) {
		if _, err := fmt.Fprintln(con.Out, w); err != nil {
			return err
		}
	}
	return nil
}

type completer struct{ catalog *catalog.Catalog }

// candidates follows the words to the command that they name.
func (c *completer) candidates(node *kong.Node, words []string) []string {
	last := words[len(words)-1]
	var waiting *kong.Flag // for its value
	at, flags := 0, true
	for _, w := range words[:len(words)-1] {
		switch {
		case waiting != nil:
			waiting = nil
		case flags && w == "--":
			flags = false
		case flags && len(w) > 1 && w[0] == '-':
			if f := flagNamed(node, w); f != nil && !f.IsBool() && !strings.Contains(w, "=") {
				waiting = f
			}
		case at == 0 && childNamed(node, w) != nil:
			node = childNamed(node, w)
		default:
			at++
			flags = flags && !passesOn(node)
		}
	}
	switch {
	case waiting != nil:
		return c.values(waiting.Value, "", last)
	case flags && strings.HasPrefix(last, "-") && strings.Contains(last, "="):
		name, value, _ := strings.Cut(last, "=")
		if f := flagNamed(node, name); f != nil {
			return c.values(f.Value, name+"=", value)
		}
		return nil
	case flags && strings.HasPrefix(last, "-"):
		return flagsOf(node, last)
	}
	var out []string
	if at == 0 {
		for _, n := range node.Children {
			if !n.Hidden && strings.HasPrefix(n.Name, last) {
				out = append(out, describedAs(n.Name, n.Help))
			}
		}
	}
	positional := withDefault(node).Positional
	if len(positional) == 0 || len(out) > 0 {
		return out
	}
	return c.values(positional[min(at, len(positional)-1)], "", last)
}

// passesOn: what follows the first word is another program's.
func passesOn(node *kong.Node) bool {
	return slices.ContainsFunc(node.Positional, func(v *kong.Value) bool { return v.Passthrough })
}

// withDefault is the command that runs where only its parent is named.
func withDefault(node *kong.Node) *kong.Node {
	if node.DefaultCmd != nil {
		return node.DefaultCmd
	}
	return node
}

func childNamed(node *kong.Node, name string) *kong.Node {
	for _, n := range node.Children {
		if n.Name == name || slices.Contains(n.Aliases, name) {
			return n
		}
	}
	return nil
}

func allFlags(node *kong.Node) (all []*kong.Flag) {
	for _, group := range withDefault(node).AllFlags(true) {
		all = append(all, group...)
	}
	return all
}

func flagNamed(node *kong.Node, word string) *kong.Flag {
	word, _, _ = strings.Cut(word, "=")
	for _, f := range allFlags(node) {
		if word == "--"+f.Name || f.Short != 0 && word == "-"+string(f.Short) {
			return f
		}
	}
	return nil
}

func flagsOf(node *kong.Node, start string) (out []string) {
	for _, f := range allFlags(node) {
		names := []string{"--" + f.Name}
		if f.Tag.Negatable != "" {
			names = append(names, "--no-"+f.Name)
		}
		for _, name := range names {
			if strings.HasPrefix(name, start) {
				out = append(out, describedAs(name, f.Help))
			}
		}
	}
	return out
}

// values of a flag or an argument, by what is known of it.
func (c *completer) values(v *kong.Value, before, start string) []string {
	var all []string
	holds := ""
	if v.Flag != nil {
		holds = v.Flag.PlaceHolder
	}
	switch {
	case v.Enum != "":
		all = v.EnumSlice()
	case v.Name == "region" || v.Name == "regions" || strings.HasSuffix(v.Name, "-regions"):
		all = c.catalog.Regions()
	case holds == "DIR":
		return []string{completeFolders}
	case holds == "FILE" || v.Tag.Type == "path" || v.Tag.Type == "existingfile" || v.Name == "file":
		return []string{completeFiles}
	case v.Name == "model" || v.Name == "models":
		all = modelIDs(c.catalog)
	case v.Passthrough:
		return []string{completeFiles}
	default:
		return nil
	}
	return prefixed(before, all, start)
}

// describedAs keeps the first sentence.
func describedAs(word, help string) string {
	if i := strings.IndexAny(help, ".:;"); i >= 0 {
		help = help[:i]
	}
	return word + "\t" + strings.TrimSpace(help)
}

// modelIDs are those that a person may want to call: each model by its profiles,
// and bare.
func modelIDs(cat *catalog.Catalog) []string {
	var ids []string
	for _, m := range cat.Models() {
		for _, p := range m.Profiles {
			if !p.PageOnly {
				ids = append(ids, p.Prefix+"."+m.ID)
			}
		}
		ids = append(ids, m.ID)
	}
	return ids
}
