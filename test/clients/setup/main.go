// Command setup installs every pinned client into the cache, two at a time; the tests then find them there.
// A client that cannot be installed is named and is no failure: its tests are skipped, loudly.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/test/clients/install"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 2)
	for _, e := range install.Envs {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			start := time.Now()
			dir, err := e.Ensure(ctx, ".")
			if err != nil {
				fmt.Printf("test client %-12s NOT INSTALLED: %v\n", e.Name, err)
				return
			}
			fmt.Printf("test client %-12s %4.1fs  %s\n", e.Name, time.Since(start).Seconds(), dir)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		os.Exit(130)
	}
}
