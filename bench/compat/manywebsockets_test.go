package compat

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/httpcore"
)

const (
	manyClientEnv = "COMPAT_TEST_WEBSOCKETS"
	manySockets   = 10_000
)

// TestManyWebSocketsClient is the client's end of TestManyWebSockets: a process of
// its own, since the limit of open files is per process.
func TestManyWebSocketsClient(t *testing.T) {
	url := os.Getenv(manyClientEnv)
	if url == "" {
		t.Skip("run by TestManyWebSockets")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var conns []io.ReadWriter
	for i := range manySockets {
		c, rest, _, err := ws.Dial(ctx, url)
		if err != nil || rest != nil {
			t.Fatalf("connection %d: %v, left over: %v", i, err, rest)
		}
		conns = append(conns, c)
	}
	fmt.Println("open")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	for i, c := range conns { // each of them still speaks
		want := fmt.Sprint("message ", i)
		if err := wsutil.WriteClientText(c, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := wsutil.ReadServerText(c); err != nil || string(got) != want {
			t.Fatalf("connection %d: %q, %v", i, got, err)
		}
	}
	fmt.Println("spoken")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

// TestManyWebSockets: ten thousand idle WebSockets of a library's handler hold no
// slot of the loops and no place among Concurrency.
func TestManyWebSockets(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < manySockets+500 {
		t.Skipf("needs %d open files, the limit is %d", manySockets+500, limit.Cur)
	}
	for _, driver := range []httpcore.DriverKind{httpcore.IOUring, httpcore.Epoll} {
		t.Run(driver.String(), func(t *testing.T) {
			s := httpcore.New(&fasthttp.Server{Logger: quiet{}, Concurrency: 100, Handler: func(ctx *fasthttp.RequestCtx) {
				if h := webSockets[string(ctx.Path())]; h != nil {
					h(ctx)
				}
			}}, httpcore.WithDriver(driver))
			addr := start(t, s)
			cmd := exec.Command(os.Args[0], "-test.run=^TestManyWebSocketsClient$", "-test.v")
			cmd.Env = append(os.Environ(), manyClientEnv+"=ws://"+addr+"/fasthttp")
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = cmd.Process.Kill() }() // harmless when it has ended
			lines := bufio.NewScanner(out)
			hear := func(want string) {
				t.Helper()
				var seen []string
				for lines.Scan() {
					if lines.Text() == want {
						return
					}
					seen = append(seen, lines.Text())
				}
				t.Fatalf("the client ended before %q:\n%s", want, strings.Join(seen, "\n"))
			}
			hear("open")
			held := func() (n int) { // by the loops, or counted among Concurrency
				for _, l := range s.Stats(t.Context()) {
					n += l.Conns
				}
				return n + int(s.GetOpenConnectionsCount())
			}
			// The last one's answer may arrive a moment before the loop lets go of it.
			for end := time.Now().Add(20 * time.Second); held() > 0; {
				if time.Now().After(end) {
					t.Fatalf("%d are held", held())
				}
			}
			_, _ = io.WriteString(in, "\n")
			hear("spoken")
			_ = in.Close()
			_, _ = io.Copy(io.Discard, out)
			if err := cmd.Wait(); err != nil {
				t.Errorf("the client: %v", err)
			}
		})
	}
}
