package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/anthropics/anthropic-sdk-go/v2"

	"github.com/outcrop-dev/outcrop/bedrock"
)

// talker is a user's program: it says each argument to Claude, and prints what
// comes back.
func talker() {
	stream := flag.Bool("stream", false, "")
	code := flag.Int("code", 0, "")
	flag.Parse()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithMaxRetries(0))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, text := range flag.Args() {
		p := anthropic.MessageNewParams{Model: pageGlobal, MaxTokens: 64, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(text))}}
		if *stream {
			events := client.Messages.NewStreaming(ctx, p)
			for events.Next() {
				fmt.Print(events.Current().Delta.Text)
			}
			fmt.Println()
			err = events.Err()
		} else {
			var m *anthropic.Message
			if m, err = client.Messages.New(ctx, p); err == nil {
				fmt.Println(m.Content[0].Text, m.ID)
			}
		}
		if err != nil {
			fmt.Println(err)
		}
	}
	os.Exit(*code)
}
