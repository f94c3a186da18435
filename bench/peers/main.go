// Command peers serves the routes that benchmarks load by another server than
// ringcore: the same octets of body, and each server's own defaults.
//
//	/, /plaintext   Hello, World!
//	/10k            10240 octets
//	POST /echo      the request's body
//	/slow?ms=N      waits N milliseconds on a goroutine, as for a database
//	/NAME           the file under -root
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"
)

const (
	textType   = "text/plain"
	binaryType = "application/octet-stream"
	notFound   = "not found\n"

	maxSlow = 60_000  // ms, the longest that /slow waits
	maxBody = 4 << 20 // octets, the most that /echo takes
)

var (
	hello = []byte("Hello, World!")
	tenK  = bytes.Repeat([]byte("0123456789abcdef"), 640)
)

// config is what the flags say.
type config struct {
	addr string
	root string // folder of files, "" for none
}

// servers serve until they fail.
var servers = map[string]func(config) error{
	"fasthttp": serveFasthttp,
	"nethttp":  serveNetHTTP,
	"gnet":     serveGnet,
	"hertz":    serveHertz,
}

func main() {
	var c config
	flag.StringVar(&c.addr, "addr", "127.0.0.1:8080", "where to listen, `HOST:PORT`")
	flag.StringVar(&c.root, "root", "", "also serve the files under `DIR`")
	name := flag.String("server", "fasthttp", "which server: "+names())
	flag.Parse()

	serve, ok := servers[*name]
	if !ok || flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "peers: want -server with one of %s, and no arguments\n", names())
		os.Exit(2)
	}
	fmt.Printf("peers: server=%s address=http://%s\n", *name, c.addr)
	if err := serve(c); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func names() string {
	var list []string
	for name := range servers {
		list = append(list, name)
	}
	sort.Strings(list)
	return strings.Join(list, ", ")
}

// wait does what /slow does, and returns what it answers.
func wait(ms int) string {
	time.Sleep(time.Duration(ms) * time.Millisecond)
	return fmt.Sprintf("waited %d ms\n", ms)
}

// slowFor reads the ms argument of /slow; not ok if it is out of range.
func slowFor(ms int, err error) (int, bool) { return ms, err == nil && ms >= 0 && ms <= maxSlow }
