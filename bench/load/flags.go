package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/ringcore/ringcore/bench/load/gen"
)

const usage = `Usage: load [flags] http://HOST:PORT/PATH

Puts load on a server and measures what comes back. HOST must be a loopback
address unless -remote is given.

How much:
  -c N               connections (default 64)
  -p N               requests sent on a connection before a response is waited
                     for (pipelining; default 1)
  -rate R            open loop: R requests/s whatever the server does, latency
                     counted from the planned moment (default 0: closed loop,
                     each connection sends when its responses are there)
  -d DURATION        how long to measure (default 10s)
  -n N               end after N requests (then -d is 10m if it is not given)
  -w DURATION        warm-up before measuring (default 0s)
  -close             a connection for each request

What:
  -method M          (default GET, or POST with -body)
  -H "NAME: VALUE"   a header field; may be given several times
  -body FILE         body from a file, "-" for standard input
  -mix FILE          a mix of requests from a JSON file, in place of the path:
                     [{"method": "POST", "path": "/echo", "weight": 3,
                       "headers": ["NAME: VALUE"], "body": "text" or
                       "body_file": "FILE", "status": 200, "length": 4,
                       "sha256": "HEX"}, …]; all but path may be left out
Wanted responses (others are errors):
  -status N          (default any 2xx or 3xx)
  -length N          of the body, in octets (default any)
  -sha256 HEX        of the body (default any)
  -timeout DURATION  for a response (default 10s)

How:
  -driver KIND       auto, io_uring or epoll (default auto)
  -max-tier TIER     highest tier of io_uring: best, 5.19, 6.0 or 6.1 (default best)
  -loops N           loops of the client, a thread each (default 1)
  -connecting N      connections being made at once, on a loop (default 128)
  -sources N         source addresses 127.x.y.z to connect from (default one for
                     each 20,000 connections)
  -remote            allow a target that is no loopback address

Output:
  -json FILE         also write the report as JSON; "-": to standard output, and
                     nothing else there. go doc ./bench/load/gen explains it
  -curve             with all points of the latency distribution in the JSON
`

// config is what the flags say.
type config struct {
	gen  gen.Config
	json string
}

// errHelp: -h was given.
var errHelp = errors.New("help wanted")

// parseFlags reads the arguments. Its error is one line for people, or errHelp.
func parseFlags(args []string) (config, error) {
	var c config
	var one gen.Request
	var body, mix string
	g := &c.gen
	fs := flag.NewFlagSet("load", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // the caller prints the error, once
	fs.IntVar(&g.Connections, "c", 64, "")
	fs.IntVar(&g.Pipelining, "p", 1, "")
	fs.Float64Var(&g.Rate, "rate", 0, "")
	fs.DurationVar(&g.Duration, "d", 0, "")
	fs.Int64Var(&g.Count, "n", 0, "")
	fs.DurationVar(&g.Warmup, "w", 0, "")
	fs.BoolVar(&g.Close, "close", false, "")
	fs.StringVar(&one.Method, "method", "", "")
	fs.Func("H", "", func(s string) error { one.Header = append(one.Header, s); return nil })
	fs.StringVar(&body, "body", "", "")
	fs.StringVar(&mix, "mix", "", "")
	fs.IntVar(&one.Status, "status", 0, "")
	fs.Func("length", "", func(s string) error {
		one.Length = new(int64)
		_, err := fmt.Sscanf(s, "%d", one.Length)
		return err
	})
	fs.StringVar(&one.SHA256, "sha256", "", "")
	fs.DurationVar(&g.Timeout, "timeout", 0, "")
	fs.StringVar(&g.Driver, "driver", "auto", "")
	fs.StringVar(&g.MaxTier, "max-tier", "best", "")
	fs.IntVar(&g.Loops, "loops", 1, "")
	fs.IntVar(&g.Connecting, "connecting", 0, "")
	fs.IntVar(&g.Sources, "sources", 0, "")
	fs.BoolVar(&g.Remote, "remote", false, "")
	fs.StringVar(&c.json, "json", "", "")
	fs.BoolVar(&g.Curve, "curve", false, "")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return c, errHelp
	case err != nil:
		return c, err
	case fs.NArg() != 1:
		return c, fmt.Errorf("want one URL behind the flags, not %d arguments (-h explains)", fs.NArg())
	}
	u, err := url.Parse(fs.Arg(0))
	if err != nil || u.Host == "" {
		return c, fmt.Errorf("%q is no URL: want http://HOST:PORT/PATH", fs.Arg(0))
	}
	one.Path = strings.TrimPrefix(u.RequestURI(), "?")
	g.Target = (&url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host}).String()
	if mix != "" {
		if u.Path != "" && u.Path != "/" || u.RawQuery != "" {
			return c, errors.New("with -mix the URL has no path: the file has them")
		}
		g.Requests, err = readMix(mix)
		return c, err
	}
	if body != "" {
		if one.Body, err = readBody(body); err != nil {
			return c, err
		}
		if one.Method == "" {
			one.Method = "POST"
		}
	}
	g.Requests = []gen.Request{one}
	return c, nil
}

// readBody reads a request's body; "-" is standard input.
func readBody(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(file)
}
