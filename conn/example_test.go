//go:build linux

package conn_test

import (
	"bufio"
	"context"
	"fmt"
	"net"

	"github.com/ringcore/ringcore/conn"
)

// echo sends back what it receives. What the output does not take stays
// unconsumed and comes again when there is room.
type echo struct{}

func (echo) Opened(*conn.Conn)                   {}
func (echo) Data(c *conn.Conn, p []byte) int     { return c.Write(p) }
func (echo) Drained(c *conn.Conn)                { c.Redeliver(); closeWhenDone(c) }
func (echo) EOF(c *conn.Conn)                    { closeWhenDone(c) }
func (echo) TimedOut(c *conn.Conn, _ conn.Timer) { c.Close() }
func (echo) Closed(*conn.Conn, error)            {}

func closeWhenDone(c *conn.Conn) {
	if c.EOFSeen() && c.Unconsumed() == 0 {
		c.Close()
	}
}

// An echo server.
func Example() {
	engine, err := conn.Start(conn.Options{Handler: func(*conn.Loop) conn.Handler { return echo{} }})
	if err != nil {
		fmt.Println(err)
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := engine.Listen(ln); err != nil {
		fmt.Println(err)
		return
	}

	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprintln(client, "hello")
	line, _ := bufio.NewReader(client).ReadString('\n')
	fmt.Print(line)
	client.Close()

	fmt.Println(engine.Shutdown(context.Background()))
	// Output:
	// hello
	// <nil>
}
