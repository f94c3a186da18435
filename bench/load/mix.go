package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ringcore/ringcore/bench/load/gen"
)

// mixed is a kind of request in the file of -mix.
type mixed struct {
	Method   string   `json:"method"`
	Path     string   `json:"path"`
	Weight   int      `json:"weight"`
	Headers  []string `json:"headers"`
	Body     *string  `json:"body"`
	BodyFile string   `json:"body_file"` // relative to the mix's folder
	Status   int      `json:"status"`
	Length   *int64   `json:"length"`
	SHA256   string   `json:"sha256"`
}

// readMix reads the file of -mix.
func readMix(file string) ([]gen.Request, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []mixed
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: more than one list", file)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: no request", file)
	}
	requests := make([]gen.Request, len(list))
	for i, m := range list {
		if requests[i], err = m.request(filepath.Dir(file)); err != nil {
			return nil, fmt.Errorf("%s: request %d: %w", file, i+1, err)
		}
	}
	return requests, nil
}

func (m *mixed) request(folder string) (r gen.Request, err error) {
	r = gen.Request{Method: m.Method, Path: m.Path, Header: m.Headers, Weight: m.Weight,
		Status: m.Status, Length: m.Length, SHA256: m.SHA256}
	switch {
	case m.Path == "":
		return r, errors.New("no path")
	case m.Body != nil && m.BodyFile != "":
		return r, errors.New("both body and body_file")
	case m.Body != nil:
		r.Body = []byte(*m.Body)
	case m.BodyFile != "":
		name := m.BodyFile
		if !filepath.IsAbs(name) {
			name = filepath.Join(folder, name)
		}
		r.Body, err = os.ReadFile(name)
	}
	return r, err
}
