package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/anthropics/anthropic-sdk-go/v2"

	"github.com/outcrop-dev/outcrop/internal/modelfiles"
)

type runCmd struct{ serveOptions }

func (runCmd) Help() string {
	return `Examples:

  outcrop run
  outcrop run --upstream http://127.0.0.1:11434 --upstream-model qwen3

The first start fetches the engine and its model, about 110 MB. Then the page's own
request is sent through the front door and its answer shown; the server stays until
Ctrl-C. Without a terminal the tour runs in its place, and its exit code is this
command's.`
}

func (c *runCmd) Run(ctx context.Context, con console) error {
	if c.Upstream == "local" {
		o := c.modelFiles()
		o.Progress = con.Err
		if _, err := modelfiles.Ensure(ctx, o); err != nil {
			if ctx.Err() != nil {
				return exitCode(exitCtrlC)
			}
			fmt.Fprintf(con.Err, "outcrop: %v\n\noutcrop: going on with the scripted upstream, which echoes\n", err)
		}
	}
	if !con.terminal() {
		t := &tourCmd{answerOptions: c.answerOptions}
		return t.Run(ctx, con)
	}
	s, err := startServer(&c.serveOptions, con)
	if err != nil {
		return err
	}
	s.banner(con.Err, &c.serveOptions)
	s.quiet.Store(true) // no log line in the middle of the answer
	if err := s.hello(ctx, &c.serveOptions, con.Out); err != nil && ctx.Err() == nil {
		return errors.Join(fmt.Errorf("hello: %w", err), s.shutdown())
	}
	s.point(&c.serveOptions, con.Out)
	s.quiet.Store(false)
	return s.wait(ctx)
}

// hello sends the page's request through the front door, as a client does.
func (s *server) hello(ctx context.Context, o *serveOptions, w io.Writer) error {
	v, err := visitServer(s, o)
	if err != nil {
		return err
	}
	client, err := v.client(ctx, o.Region)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s, max_tokens 256: Hello, world\n\n", pageGlobal)
	var m anthropic.Message
	stream := client.Messages.NewStreaming(ctx, greeting(pageGlobal, 256))
	for stream.Next() {
		event := stream.Current()
		if err := m.Accumulate(event); err != nil {
			return err
		}
		if event.Type == "content_block_delta" {
			fmt.Fprint(w, event.Delta.Text)
		}
	}
	if err := errors.Join(stream.Err(), stream.Close()); err != nil {
		return err
	}
	cost, err := wouldCost(s.Catalog, pageGlobal, o.Region, &m)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\n\n  from    %s, which is not Claude\n  usage   %d tokens in, %d out\n  cost    billed $0.00; Claude Opus 4.6 on Amazon Bedrock would have cost $%s\n",
		s.Upstream.Name(), m.Usage.InputTokens, m.Usage.OutputTokens, cost.USD())
	return err
}

// point shows how each client comes here.
func (s *server) point(o *serveOptions, w io.Writer) {
	fmt.Fprintf(w, `
Point clients here, in another terminal:   eval "$(%s env%s)"

  Python       client = anthropic.AnthropicBedrock()
               client.messages.create(model=%[3]q, max_tokens=256, messages=[{"role": "user", "content": "Hello, world"}])
  TypeScript   const client = new AnthropicBedrock()   // @anthropic-ai/bedrock-sdk
               await client.messages.create({ model: %[3]q, max_tokens: 256, messages: [{ role: "user", content: "Hello, world" }] })
  Go           client, err := bedrock.New(ctx)   // github.com/outcrop-dev/outcrop/bedrock
               client.Messages.New(ctx, anthropic.MessageNewParams{Model: %[3]q, MaxTokens: 256, Messages: …})
  boto3        runtime = boto3.client("bedrock-runtime")
               runtime.invoke_model(modelId=%[3]q, body=json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 256, "messages": […]}))
  AWS CLI      aws sts get-caller-identity
               aws bedrock list-foundation-models --by-provider anthropic --query "modelSummaries[*].modelId"
  Terminal     %[1]s chat     %[1]s send "Hello, world"     %[1]s doctor
  Claude Code  claude   (its prompts want a larger model than the embedded one:
               %[1]s exec --upstream http://HOST:PORT -- claude)
`, self(), o.dataFlag(), pageGlobal)
	if o.Tls {
		fmt.Fprintf(w, "\n  TLS: clients must trust %s, which env sees to\n", filepath.Join(s.Data.Path(), caCertFile))
	}
	fmt.Fprintf(w, "\nServing on %s until Ctrl-C.\n", s.URL)
}
