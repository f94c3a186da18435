//go:build !linux

// Command c1m needs Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "c1m: needs Linux")
	os.Exit(1)
}
