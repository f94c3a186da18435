// Package target knows the servers that are compared, and starts and stops
// them: programs of this repository and, where they are installed, Node,
// Apache and nginx, which run with generated configurations in a temporary
// folder and on free loopback ports. The system's own configurations and
// services are neither read nor touched.
package target

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Target is one server, set up in one way.
type Target struct {
	Name string // as in flags and tables
	What string // one line for people
	Ours bool   // ringcore

	// Blocks says that a handler that waits holds everybody up, so scenarios
	// that wait leave the server out.
	Blocks bool
	// Workers is how many requests or, with prefork, connections can be served
	// at once; 0 for no limit but memory.
	Workers int
	// Forks says that a connection takes one of the workers for as long as it
	// is open, and that they are processes.
	Forks bool

	// Built says that the server is a program of bench/peers.
	Built bool

	driver  string // of ringcore
	command func(Env, int) (*exec.Cmd, error)
	missing func() string
}

// Missing says why the server cannot run here, "" if it can.
func (t Target) Missing() string {
	if t.missing == nil {
		return ""
	}
	return t.missing()
}

// Driver is ringcore's driver, "" for a peer.
func (t Target) Driver() string { return t.driver }

// Env is what servers are started with.
type Env struct {
	Dir    string // temporary, for configurations and logs; others may enter it
	Root   string // folder of files, from Files
	Server string // program built from bench/server
	Peers  string // program built from bench/peers
	CPUs   []int  // that the server is pinned to
}

// Octets of the files that are served.
const (
	Ten       = 10 << 10
	SixtyFour = 64 << 10
)

// Pattern is what every body repeats.
const Pattern = "0123456789abcdef"

// Hello is the body of /plaintext.
const Hello = "Hello, World!"

// Files writes the files that servers serve, readable by all.
func Files(root string) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"plaintext": Hello,
		"10k":       strings.Repeat(Pattern, Ten/len(Pattern)),
		"64k.bin":   strings.Repeat(Pattern, SixtyFour/len(Pattern)),
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// DefaultDispatch is ringcore's default, which names leave out.
const DefaultDispatch = "adaptive"

// Ringcore is our server by a driver (io_uring, epoll), with a dispatch mode
// (pooled, inline, adaptive) and a highest tier of io_uring ("" for the best).
func Ringcore(driver, dispatch, tier string) Target {
	t := Target{
		Name: driver, Ours: true, driver: driver, Blocks: dispatch == "inline",
		What: fmt.Sprintf("ringcore by %s, handlers %s", driver, dispatch),
	}
	if dispatch != DefaultDispatch {
		t.Name += "-" + dispatch
	}
	if tier != "" && tier != "best" {
		t.Name += "@" + tier
		t.What += ", tier " + tier
	} else {
		tier = "best"
	}
	t.command = func(e Env, port int) (*exec.Cmd, error) {
		return exec.Command(e.Server, "-driver", driver, "-dispatch", dispatch, "-max-tier", tier,
			"-root", e.Root, "-addr", addr(port)), nil
	}
	return t
}

// Peers are the others, those that are not installed too.
func Peers() []Target {
	return []Target{
		goPeer("fasthttp", "fasthttp's own server"),
		goPeer("nethttp", "net/http of Go's standard library"),
		goPeer("hertz", "hertz by its default transport (netpoll)"),
		goPeer("gnet", "gnet with a few lines of HTTP that check nothing: a framework's cost, not a server's"),
		{Name: "node", What: "Node's http module, one process", command: node, missing: needs("node", "nodejs")},
		{Name: "nginx", What: "nginx, a worker per CPU", command: nginx, missing: needs("nginx", "nginx")},
		{Name: "apache-prefork", What: fmt.Sprintf("Apache prefork, at most %d processes (its default)", PreforkWorkers),
			Workers: PreforkWorkers, Forks: true, command: apache("prefork", preforkLimits(PreforkWorkers)), missing: needs("apache2", "apache2")},
		{Name: "apache-event", What: fmt.Sprintf("Apache event, at most %d threads (its default)", EventWorkers),
			Workers: EventWorkers, command: apache("event", eventLimits), missing: needs("apache2", "apache2")},
	}
}

// raisedWorkers is as many processes as fit into a few GiB.
const raisedWorkers = 2000

// RaisedPrefork is Apache prefork with more processes than its default.
func RaisedPrefork() Target {
	return Target{
		Name: "apache-prefork-2000", What: fmt.Sprintf("Apache prefork, at most %d processes", raisedWorkers), Workers: raisedWorkers, Forks: true,
		command: apache("prefork", preforkLimits(raisedWorkers)), missing: needs("apache2", "apache2"),
	}
}

func goPeer(name, what string) Target {
	return Target{Name: name, What: what, Built: true, command: func(e Env, port int) (*exec.Cmd, error) {
		return exec.Command(e.Peers, "-server", name, "-root", e.Root, "-addr", addr(port)), nil
	}}
}

// needs says what is missing if a program is.
func needs(program, pkg string) func() string {
	return func() string {
		if find(program) == "" {
			return fmt.Sprintf("the program %s is not installed (Debian package %s)", program, pkg)
		}
		return ""
	}
}

// find looks in the folders of services too, which are rarely in people's PATH.
func find(program string) string {
	for _, name := range []string{program, "/usr/sbin/" + program, "/usr/local/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func addr(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
