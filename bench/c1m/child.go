//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// roleVariable tells a process of this program that it is a server or a client.
const roleVariable = "RINGCORE_C1M_ROLE"

// childPatience bounds every answer of a child.
const childPatience = 10 * time.Minute

// child is a server or client process: orders go to its standard input, answers
// come from its standard output, a JSON value each. It ends with its input.
type child struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	to   *json.Encoder
	from *json.Decoder
}

func startChild(ctx context.Context, role string, number int) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{name: fmt.Sprintf("%s %d", role, number), cmd: exec.CommandContext(ctx, self)}
	c.cmd.Env = append(os.Environ(), roleVariable+"="+role, "GOGC=50")
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.to, c.from = json.NewEncoder(c.in), json.NewDecoder(out)
	return c, c.cmd.Start()
}

// ask sends an order and waits for the answer.
func (c *child) ask(ctx context.Context, order, answer any) error {
	if err := c.to.Encode(order); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	got := make(chan error, 1)
	go func() { got <- c.from.Decode(answer) }()
	timeout := time.NewTimer(childPatience)
	defer timeout.Stop()
	var err error
	select {
	case err = <-got:
		if err == io.EOF {
			err = fmt.Errorf("it has ended")
		}
	case <-timeout.C:
		err = fmt.Errorf("no answer within %v", childPatience)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

// stop ends the child and waits for it.
func (c *child) stop() {
	_ = c.in.Close()
	_ = c.cmd.Process.Kill() // closing so many connections in order takes longer
	_ = c.cmd.Wait()
}
