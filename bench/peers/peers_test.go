package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Every peer answers the routes identically, so that figures compare servers
// and not answers.
func TestSameAnswers(t *testing.T) {
	root := t.TempDir()
	file := bytes.Repeat([]byte("file"), 16<<10)
	if err := os.WriteFile(filepath.Join(root, "64k.bin"), file, 0o644); err != nil {
		t.Fatal(err)
	}
	sent := strings.Repeat("e", 1024)
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			base := "http://" + run(t, serve, root)
			for _, c := range []struct {
				method, path, body, kind, want string
				code                           int
			}{
				{"GET", "/", "", textType, "Hello, World!", 200},
				{"GET", "/plaintext", "", textType, "Hello, World!", 200},
				{"GET", "/10k", "", binaryType, string(tenK), 200},
				{"POST", "/echo", sent, binaryType, sent, 200},
				{"GET", "/slow?ms=1", "", textType, "waited 1 ms\n", 200},
				{"GET", "/slow?ms=60001", "", textType, "bad ms\n", 400},
				{"GET", "/64k.bin", "", binaryType, string(file), 200},
			} {
				req, err := http.NewRequest(c.method, base+c.path, strings.NewReader(c.body))
				if err != nil {
					t.Fatal(err)
				}
				if c.body != "" {
					req.Header.Set("Content-Type", binaryType)
				}
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatalf("%s: %v", c.path, err)
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				if res.StatusCode != c.code || string(got) != c.want || err != nil {
					t.Errorf("%s: %d, %d octets, %v; want %d, %d octets", c.path, res.StatusCode, len(got), err, c.code, len(c.want))
				}
				if res.Header.Get("Content-Type") != c.kind || res.ContentLength != int64(len(c.want)) || res.Header.Get("Date") == "" {
					t.Errorf("%s: header %v", c.path, res.Header)
				}
			}
			res, err := http.Get(base + "/nothing")
			if err != nil || res.StatusCode != 404 {
				t.Errorf("/nothing: %v, %v", res, err)
			}
		})
	}
}

// run serves on a free port until the test program ends.
func run(t *testing.T, serve func(config) error, root string) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	failed := make(chan error, 1)
	go func() { failed <- serve(config{addr: addr, root: root}) }()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr
		}
		select {
		case err := <-failed:
			t.Fatal(err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("does not listen")
		}
		time.Sleep(time.Millisecond)
	}
}
