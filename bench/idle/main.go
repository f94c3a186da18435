// Command idle opens connections to a server on this machine, leaves them
// alone, and says what they cost the server: memory per connection and CPU
// time while nothing happens. It reads the server's figures from /proc, so it
// needs Linux and the server's process id.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// patience bounds every step that waits for the server.
const patience = 10 * time.Second

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "the server, `HOST:PORT`")
	pid := flag.Int("pid", 0, "process `ID` of the server")
	n := flag.Int("n", 1000, "number of connections")
	request := flag.Bool("request", true, "let each connection make one request before it idles")
	idle := flag.Duration("idle", 5*time.Second, "how long to watch the CPU time")
	flag.Parse()
	if *pid <= 0 || *n < 1 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "idle: want -pid ID of the server, -n of 1 or more, and no arguments")
		os.Exit(2)
	}
	if err := measure(*addr, *pid, *n, *request, *idle); err != nil {
		fmt.Fprintln(os.Stderr, "idle:", err)
		os.Exit(1)
	}
}

func measure(addr string, pid, n int, request bool, idle time.Duration) error {
	// one connection first, so that what a server sets up once is not counted
	if err := open(addr, 1, true, func() error { return nil }); err != nil {
		return err
	}
	before, err := readUsage(pid)
	if err != nil {
		return err
	}
	return open(addr, n, request, func() error {
		time.Sleep(time.Second) // let the last request's traces settle
		start, err := readUsage(pid)
		if err != nil {
			return err
		}
		time.Sleep(idle)
		end, err := readUsage(pid)
		if err != nil {
			return err
		}
		fmt.Printf("connections=%d kib_per_connection=%.3f rss_before_kib=%d rss_kib=%d cpu_ms=%.3f idle=%s\n",
			n, float64(end.rss-before.rss)/float64(n)/1024, before.rss/1024, end.rss/1024,
			float64((end.cpu-start.cpu).Microseconds())/1000, idle)
		return nil
	})
}

// open calls do while n connections to addr are open.
func open(addr string, n int, request bool, do func() error) error {
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for i := range n {
		c, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			return fmt.Errorf("connection %d of %d: %w", i+1, n, err)
		}
		conns = append(conns, c)
		// the last one always asks: then the server has accepted all
		if request || i == n-1 {
			if err := ask(c); err != nil {
				return fmt.Errorf("request on connection %d of %d: %w", i+1, n, err)
			}
		}
	}
	return do()
}

// ask makes one request and takes the whole response.
func ask(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "GET /plaintext HTTP/1.1\r\nHost: idle\r\n\r\n"); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReaderSize(c, 512), nil)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", res.Status)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}
