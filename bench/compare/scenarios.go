package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringcore/ringcore/bench/compare/target"
)

// scenario is one load that every server gets.
type scenario struct {
	name        string
	title       string
	request     target.Request
	connections int
	depth       int
	close       bool          // a connection per request
	timeout     time.Duration // for a connection and for an answer; 0 for the loader's
	warm        time.Duration // load before a measurement; 0 for warmUp
	rate        float64       // requests/s; 0 for as fast as answers come
	waits       bool          // handlers that wait: quick requests are asked beside them
	quick       bool          // also in a -quick run
}

func repeat(n int) []byte {
	return []byte(strings.Repeat(target.Pattern, n/len(target.Pattern)))
}

var (
	plaintext = target.Request{Method: "GET", Path: "/plaintext", Want: []byte(target.Hello)}
	tenK      = target.Request{Method: "GET", Path: "/10k", Want: repeat(target.Ten)}
	file64k   = target.Request{Method: "GET", Path: "/64k.bin", Want: repeat(target.SixtyFour)}
	echo1k    = target.Request{Method: "POST", Path: "/echo", Body: []byte(strings.Repeat("e", 1024)), Want: []byte(strings.Repeat("e", 1024))}
)

func slow(ms int) target.Request {
	return target.Request{Method: "GET", Path: fmt.Sprintf("/slow?ms=%d", ms), Want: fmt.Appendf(nil, "waited %d ms\n", ms)}
}

// idleScenarios are the numbers of connections that do nothing, by name.
var idleScenarios = map[string]int{"idle1k": 1_000, "idle10k": 10_000, "idle100k": 100_000}

const originScenario = "origin"

var scenarios = []scenario{
	{name: "plaintext64", title: "Plaintext, 64 connections", request: plaintext, connections: 64, quick: true},
	{name: "plaintext512", title: "Plaintext, 512 connections", request: plaintext, connections: 512},
	{name: "plaintext8192", title: "Plaintext, 8,192 connections", request: plaintext, connections: 8192},
	{name: "pipeline16", title: "Plaintext, 64 connections, 16 requests pipelined", request: plaintext, connections: 64, depth: 16, quick: true},
	{name: "get10k", title: "10 KiB response, 64 connections", request: tenK, connections: 64, quick: true},
	{name: "echo1k", title: "1 KiB echoed, 64 connections", request: echo1k, connections: 64},
	{name: "file64k", title: "64 KiB file, 64 connections", request: file64k, connections: 64},
	{name: "close", title: "A connection per request, 64 at a time", request: plaintext, connections: 64, close: true},
	{name: "wait512", title: "Handlers that wait 50 ms, 512 connections", request: slow(50), connections: 512, waits: true},
	{name: "wait10k", title: "Handlers that wait 50 ms, 10,000 connections", request: slow(50), connections: 10_000, waits: true},
}

// scenarioNames lists every name that -scenarios takes.
func scenarioNames() []string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return append(names, "idle1k", "idle10k", "idle100k", originScenario)
}

// defaultScenarios are those of a run that names none.
func defaultScenarios(quick bool) []string {
	if !quick {
		return slices.DeleteFunc(scenarioNames(), func(n string) bool { return n == "idle1k" })
	}
	var names []string
	for _, s := range scenarios {
		if s.quick {
			names = append(names, s.name)
		}
	}
	return append(names, "idle1k")
}

func findScenario(name string) (scenario, bool) {
	for _, s := range scenarios {
		if s.name == name {
			s.depth = max(1, s.depth)
			return s, true
		}
	}
	return scenario{}, false
}
