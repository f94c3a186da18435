package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// stopPostgres ends the database that needPostgres has started.
var stopPostgres = func() {}

// postgres starts a private PostgreSQL once, and returns its URL.
var postgres = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("../../scripts/postgres")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	stopPostgres = func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = errors.New(strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(url), err
})

// needPostgres returns the URL of a private database with the benchmark's
// tables. Where PostgreSQL is not installed the test is skipped, and where there
// is only a server that is built already: in the guests of scripts/kernels.
func needPostgres(t *testing.T) string {
	t.Helper()
	if os.Getenv(serverVariable) != "" {
		t.Skip("no PostgreSQL where there is no go command")
	}
	url, err := postgres()
	if err != nil && strings.Contains(err.Error(), "needs the program") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return url
}
