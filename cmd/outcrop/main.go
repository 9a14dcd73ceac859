// Command outcrop serves Claude on Amazon Bedrock: a front door that speaks
// Bedrock itself, and the tools around it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/outcrop-dev/outcrop/internal/localmodel"
)

// version is set by the release build.
var version = "dev"

// cli is the command line. Each flag has an environment twin, OUTCROP_ and its
// name; serve and run read a file as well.
type cli struct {
	Run    runCmd    `cmd:"" group:"server" help:"Start a server, say hello through it, show how to point clients at it, and serve."`
	Serve  serveCmd  `cmd:"" group:"server" help:"Serve Bedrock on a local address."`
	Exec   execCmd   `cmd:"" group:"server" help:"Run a command with its clients pointed at the server; starts one if none runs."`
	Record recordCmd `cmd:"" group:"server" help:"Run a command as exec does, and keep its calls and their answers in a file."`
	Env    envCmd    `cmd:"" group:"server" help:"Print the environment that points clients at the server."`
	Tour   tourCmd   `cmd:"" group:"server" help:"Show each promise of the page, executed."`

	Send  sendCmd  `cmd:"" group:"ask" help:"Ask a model, and print its answer."`
	Chat  chatCmd  `cmd:"" group:"ask" help:"Talk with a model in the terminal."`
	Count countCmd `cmd:"" group:"ask" help:"Count the tokens of a prompt."`

	Models   modelsCmd   `cmd:"" group:"catalog" help:"List the Claude models on Bedrock."`
	Features featuresCmd `cmd:"" group:"catalog" help:"List what works on which model and API."`
	Explain  explainCmd  `cmd:"" group:"catalog" help:"Say where a model id would go, and why."`
	Price    priceCmd    `cmd:"" group:"catalog" help:"Print what calls cost, by model, endpoint, class of tokens and day."`

	Whoami whoamiCmd `cmd:"" group:"access" help:"Ask STS who the credentials belong to."`
	Key    keyCmd    `cmd:"" group:"access" help:"Create, list, change and revoke access keys and API keys."`
	Limit  limitCmd  `cmd:"" group:"access" help:"Limit keys: requests, tokens, calls at once, money."`
	Access accessCmd `cmd:"" group:"access" help:"Ask for models and give them back, here or at AWS."`

	Logs      logsCmd      `cmd:"" group:"activity" help:"List, search, show and export the calls that were kept."`
	Usage     usageCmd     `cmd:"" group:"activity" help:"Sum up tokens and money by hour, key, model, Region and more."`
	Reconcile reconcileCmd `cmd:"" group:"activity" help:"Compare our records with AWS's own invocation logs."`

	Doctor     doctorCmd     `cmd:"" group:"tools" help:"Say what stands between here and an answer, and what to do about it."`
	Config     configCmd     `cmd:"" group:"tools" help:"Check the configuration file."`
	Frames     framesCmd     `cmd:"" group:"tools" help:"Turn an event stream into text, or text into an event stream."`
	Backup     backupCmd     `cmd:"" group:"tools" help:"Copy the data folder into one file, beside a running server."`
	Restore    restoreCmd    `cmd:"" group:"tools" help:"Make a data folder from a backup."`
	Completion completionCmd `cmd:"" group:"tools" help:"Print what makes a shell complete outcrop's commands."`
	Complete   completeCmd   `cmd:"" hidden:"" help:"What a shell asks."`
	Fetch      fetchCmd      `cmd:"" group:"tools" help:"Get the local engine and its model."`
	Version    versionCmd    `cmd:"" group:"tools" help:"Print the version."`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == localmodel.ChildCommand {
		os.Exit(localmodel.RunChild(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], console{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// run is main as a value, for tests.
func run(ctx context.Context, args []string, con console) (code int) {
	var c cli
	unsetEmpty()
	defer func() {
		if p := recover(); p != nil {
			exit, ok := p.(exitCode)
			if !ok {
				panic(p)
			}
			code = int(exit)
		}
	}()
	parser, err := newParser(&c, con)
	if err != nil {
		fmt.Fprintln(con.Err, "outcrop:", err)
		return exitFailed
	}
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help":
		args = append(slices.Clone(args[1:]), "--help")
	case len(args) == 1 && args[0] == "--version":
		args = []string{"version"}
	default:
	}
	k, err := parser.Parse(args)
	if err != nil {
		// "" stands for a flag that is not given.
		fmt.Fprintln(con.Err, "outcrop:", strings.Replace(err.Error(), `must be one of "",`, "must be one of ", 1))
		fmt.Fprintf(con.Err, "  %s --help tells more\n", selected(err))
		return exitUsage
	}
	k.BindTo(ctx, (*context.Context)(nil))
	switch err := k.Run(con); {
	case err == nil:
		return 0
	default:
		var exit exitCode
		code := statusOfError(err)
		if !errors.As(err, &exit) && code != exitCtrlC {
			fmt.Fprintf(con.Err, "outcrop: %v%s\n", err, hintOf(err))
		}
		return code
	}
}

// unsetEmpty makes an empty variable one that is not set, as shells' users expect:
// an empty path would be the current folder.
func unsetEmpty() {
	for _, pair := range os.Environ() {
		if name, value, _ := strings.Cut(pair, "="); value == "" && strings.HasPrefix(name, "OUTCROP_") {
			os.Unsetenv(name)
		}
	}
}

func newParser(c *cli, con console) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("outcrop"),
		kong.Description("Claude on Amazon Bedrock, on your own machine: one binary that speaks Bedrock to any official client.\n\nStart with: outcrop run"),
		kong.Writers(con.Out, con.Err),
		kong.Exit(func(code int) { panic(exitCode(code)) }), // kong expects Exit not to return
		kong.DefaultEnvars("OUTCROP"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "server", Title: "Serve and point clients:"},
			{Key: "ask", Title: "Ask:"},
			{Key: "catalog", Title: "Models:"},
			{Key: "access", Title: "Who may come in:"},
			{Key: "activity", Title: "What was called:"},
			{Key: "tools", Title: "Tools:"},
		}),
		kong.Help(help),
		kong.Vars{"data": defaultData(), "listen": defaultListen, "region": defaultRegion, "model": defaultModel, "here": "the data folder"},
	)
}

// help is kong's, and for the whole program the exit codes.
func help(o kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(o, ctx); err != nil || ctx.Selected() != nil {
		return err
	}
	_, err := fmt.Fprintf(ctx.Stdout, "\n%s\n", exitCodes)
	return err
}

// selected is the command that a parse error is about. Help itself would go to
// standard output, which a shell may be about to eval.
func selected(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if n := parse.Context.Selected(); n != nil {
			return n.FullPath()
		}
	}
	return "outcrop"
}
