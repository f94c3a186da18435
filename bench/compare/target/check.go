package target

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Request is what a scenario asks, and what every server has to answer.
type Request struct {
	Method string
	Path   string
	Body   []byte
	Want   []byte // the response's body
}

// Check asks once and compares the answer, so that no server is measured at
// answering something else.
func (s *Running) Check(ctx context.Context, q Request) error {
	client := http.Client{Timeout: 70 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, q.Method, "http://"+s.Addr+q.Path, bytes.NewReader(q.Body))
	if err != nil {
		return err
	}
	if len(q.Body) > 0 {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("%s %s: %s", q.Method, q.Path, res.Status)
	case !bytes.Equal(got, q.Want):
		return fmt.Errorf("%s %s: %d octets that are not the %d expected", q.Method, q.Path, len(got), len(q.Want))
	}
	return nil
}
