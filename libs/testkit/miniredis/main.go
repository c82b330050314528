// A stand-in for redis-server on machines that have none: miniredis behind a port, with a clock that runs.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/alicebob/miniredis/v2"
)

const tick = 10 * time.Millisecond

func main() {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	last := time.Now()
	for now := range time.Tick(tick) {
		server.FastForward(now.Sub(last)) // keys expire by it, not by themselves
		last = now
	}
}
