package compat

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	"github.com/gofiber/fiber/v3/middleware/compress"
	"github.com/gofiber/fiber/v3/middleware/cors"
	"github.com/gofiber/fiber/v3/middleware/etag"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gofiber/fiber/v3/middleware/requestid"
	"github.com/gofiber/fiber/v3/middleware/session"
	"github.com/gofiber/fiber/v3/middleware/static"
	"github.com/gofiber/fiber/v3/middleware/timeout"
	"github.com/valyala/fasthttp"
)

// fiberApp is an application with what people use of Fiber. Events waits for
// next after each event.
func fiberApp(root string, next <-chan struct{}) *fiber.App {
	app := fiber.New(fiber.Config{BodyLimit: 1 << 20, ServerHeader: "app"})
	app.Use(recover.New(), requestid.New(), cors.New())
	app.Use("/hello", etag.New()) // it reads streams to their end
	app.Use("/z", compress.New())
	app.Use(session.New())
	app.Use("/static", static.New(root, static.Config{ByteRange: true}))

	app.Get("/hello/:name", func(c fiber.Ctx) error {
		return c.SendString("hello " + c.Params("name") + " " + c.Query("q"))
	})
	app.Post("/json", func(c fiber.Ctx) error {
		var in struct{ A int }
		if err := c.Bind().Body(&in); err != nil {
			return err
		}
		return c.JSON(fiber.Map{"twice": 2 * in.A})
	})
	app.Post("/upload", func(c fiber.Ctx) error {
		fh, err := c.FormFile("f")
		if err != nil {
			return err
		}
		return c.SendString(fmt.Sprint(fh.Filename, " ", fh.Size))
	})
	app.Get("/count", func(c fiber.Ctx) error {
		s := session.FromContext(c)
		n, _ := s.Get("n").(int)
		s.Set("n", n+1)
		return c.SendString(fmt.Sprint(n))
	})
	app.Get("/panic", func(fiber.Ctx) error { panic("on purpose") })
	app.Get("/teapot", func(fiber.Ctx) error { return fiber.NewError(418, "short and stout") })
	app.Get("/z/text", func(c fiber.Ctx) error { return c.SendString(strings.Repeat("text ", 1000)) })
	app.Get("/events", func(c fiber.Ctx) error {
		c.Set("Content-Type", "text/event-stream")
		return c.SendStreamWriter(func(w *bufio.Writer) {
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				if w.Flush() != nil {
					return
				}
				<-next
			}
		})
	})
	app.Get("/slow", timeout.New(func(c fiber.Ctx) error {
		<-c.Context().Done()
		return c.Context().Err()
	}, timeout.Config{Timeout: 20 * time.Millisecond}))
	app.Get("/std", adaptor.HTTPHandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "net/http ", r.URL.Path)
	}))
	upgrader := websocket.FastHTTPUpgrader{}
	app.Get("/ws/:name", func(c fiber.Ctx) error {
		name := strings.Clone(c.Params("name"))
		return upgrader.Upgrade(c.RequestCtx(), func(ws *websocket.Conn) {
			for {
				kind, p, err := ws.ReadMessage()
				if err != nil || ws.WriteMessage(kind, append([]byte(name+" "), p...)) != nil {
					return
				}
			}
		})
	})
	group := app.Group("/api", func(c fiber.Ctx) error { c.Set("X-Group", "api"); return c.Next() })
	group.Get("/*", func(c fiber.Ctx) error { return c.SendString(c.Params("*")) })
	return app
}

func TestFiber(t *testing.T) {
	root := t.TempDir()
	content := strings.Repeat("file ", 40000)
	if err := os.WriteFile(filepath.Join(root, "f.txt"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	next := make(chan struct{})
	newServer := func(*testing.T) *fasthttp.Server {
		app := fiberApp(root, next)
		app.Handler() // what app.Listen does first: it builds the routes
		return app.Server()
	}
	run(t, true, newServer, func(t *testing.T, addr string) {
		r := ask(t, "GET", addr, "/hello/world?q=a%20b", "").want(t, 200, "hello world a b")
		if r.Header.Get("X-Request-Id") == "" || r.Header.Get("Server") != "app" || r.Header.Get("Etag") == "" {
			t.Errorf("middleware is missing: %v", r.Header)
		}
		ask(t, "GET", addr, "/hello/world?q=a%20b", "", "If-None-Match: "+r.Header.Get("Etag")).want(t, 304, "")
		ask(t, "POST", addr, "/json", `{"A":21}`, "Content-Type: application/json").want(t, 200, `{"twice":42}`)
		ask(t, "POST", addr, "/upload", "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"n\"\r\n\r\ncontent\r\n--x--\r\n",
			"Content-Type: multipart/form-data; boundary=x").want(t, 200, "n 7")
		ask(t, "POST", addr, "/json", strings.Repeat("x", 1<<20+1)).want(t, 413, "Request Entity Too Large")
		r = ask(t, "GET", addr, "/count", "").want(t, 200, "0")
		ask(t, "GET", addr, "/count", "", "Cookie: "+strings.Split(r.Header.Get("Set-Cookie"), ";")[0]).want(t, 200, "1")
		ask(t, "GET", addr, "/panic", "").want(t, 500, "on purpose")
		ask(t, "GET", addr, "/teapot", "").want(t, 418, "short and stout")
		ask(t, "GET", addr, "/none", "").want(t, 404, "Not Found")
		if r = ask(t, "GET", addr, "/z/text", "", "Accept-Encoding: gzip"); r.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("not compressed: %v", r.Header)
		}
		ask(t, "GET", addr, "/static/f.txt", "").want(t, 200, content)
		ask(t, "GET", addr, "/static/f.txt", "", "Range: bytes=5-8").want(t, 206, "file")
		ask(t, "GET", addr, "/slow", "").want(t, 408, "Request Timeout")
		ask(t, "GET", addr, "/std", "").want(t, 200, "net/http /std")
		if r = ask(t, "GET", addr, "/api/a/b", "").want(t, 200, "a/b"); r.Header.Get("X-Group") != "api" {
			t.Errorf("the group's middleware is missing: %v", r.Header)
		}
		if r = ask(t, "OPTIONS", addr, "/api/a", "", "Origin: http://o", "Access-Control-Request-Method: GET"); r.StatusCode != 204 {
			t.Errorf("CORS: got %d", r.StatusCode)
		}
		ask(t, "HEAD", addr, "/hello/x", "").want(t, 200, "")
		// What is refused before the application sees it goes to its error
		// handler, which knows fasthttp's errors.
		ask(t, "GET", addr, "/", "", "X: "+strings.Repeat("x", 20<<10)).want(t, 431, "Request Header Fields Too Large")
		wantEvents(t, addr, "/events", next, "0", "1", "2")

		ws, resp, err := websocket.DefaultDialer.Dial("ws://"+addr+"/ws/fiber", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		defer ws.Close()
		for i := range 3 {
			if err := ws.WriteMessage(websocket.TextMessage, fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
			if _, p, err := ws.ReadMessage(); err != nil || string(p) != fmt.Sprint("fiber ", i) {
				t.Fatalf("got %q, %v", p, err)
			}
		}
	})
}

// The one line that README promises.
func TestFiberByItsHandlerAlone(t *testing.T) {
	app := fiberApp(t.TempDir(), nil)
	run(t, true, func(*testing.T) *fasthttp.Server { return &fasthttp.Server{Handler: app.Handler()} }, func(t *testing.T, addr string) {
		ask(t, "GET", addr, "/hello/world", "").want(t, 200, "hello world ")
	})
}

// A Fiber application with StreamRequestBody reads a body as it comes.
func TestFiberStreamsRequests(t *testing.T) {
	app := fiber.New(fiber.Config{StreamRequestBody: true, BodyLimit: 1024})
	app.Post("/", func(c fiber.Ctx) error {
		n, err := io.Copy(io.Discard, c.Request().BodyStream())
		return errors.Join(err, c.SendString(fmt.Sprint(n)))
	})
	app.Handler()
	run(t, false, func(*testing.T) *fasthttp.Server { return app.Server() }, func(t *testing.T, addr string) {
		for _, n := range []int{10, 100 << 10, 3 << 20} {
			ask(t, "POST", addr, "/", strings.Repeat("x", n)).want(t, 200, fmt.Sprint(n))
		}
	})
}
