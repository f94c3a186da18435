//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// ask returns the body of a response, whose head it checks by TechEmpower's
// rules: status 200, Server, Date, a length or chunked, the content type.
func ask(t *testing.T, p *process, path, kind string) []byte {
	t.Helper()
	res, err := client.Get(p.url + path)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v, status %d, %q", path, err, res.StatusCode, body)
	}
	if got := res.Header.Get("Content-Type"); got != kind {
		t.Errorf("%s: content type %q, want %q", path, got, kind)
	}
	if _, err := http.ParseTime(res.Header.Get("Date")); err != nil || res.Header.Get("Server") == "" {
		t.Errorf("%s: Date %q, Server %q", path, res.Header.Get("Date"), res.Header.Get("Server"))
	}
	return body
}

// wantWorlds decodes rows of the table world and checks their form and ranges.
func wantWorlds(t *testing.T, path string, body []byte, n int) []map[string]int {
	t.Helper()
	var rows []map[string]int
	if err := json.Unmarshal(body, &rows); err != nil {
		t.Fatalf("%s: %v in %q", path, err, body)
	}
	if len(rows) != n {
		t.Errorf("%s: %d rows, want %d", path, len(rows), n)
	}
	for _, row := range rows {
		id, number := row["id"], row["randomNumber"]
		if len(row) != 2 || id < 1 || id > worlds || number < 1 || number > worlds {
			t.Errorf("%s: row %v", path, row)
		}
	}
	return rows
}

const fortunesWant = `<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table>` +
	`<tr><th>id</th><th>message</th></tr>` +
	`<tr><td>11</td><td>&lt;script&gt;alert(&#34;This should not be displayed in a browser alert box.&#34;);&lt;/script&gt;</td></tr>` +
	`<tr><td>4</td><td>A bad random number generator: 1, 1, 1, 1, 1, 4.33e&#43;67, 1, 1, 1</td></tr>` +
	`<tr><td>5</td><td>A computer program does what you tell it to do, not what you want it to do.</td></tr>` +
	`<tr><td>2</td><td>A computer scientist is someone who fixes things that aren&#39;t broken.</td></tr>` +
	`<tr><td>8</td><td>A list is only as strong as its weakest link. — Donald Knuth</td></tr>` +
	`<tr><td>0</td><td>Additional fortune added at request time.</td></tr>` +
	`<tr><td>3</td><td>After enough decimal places, nobody gives a damn.</td></tr>` +
	`<tr><td>7</td><td>Any program that runs right is obsolete.</td></tr>` +
	`<tr><td>10</td><td>Computers make very fast, very accurate mistakes.</td></tr>` +
	`<tr><td>6</td><td>Emacs is a nice operating system, but I prefer UNIX. — Tom Christaensen</td></tr>` +
	`<tr><td>9</td><td>Feature: A bug with seniority.</td></tr>` +
	`<tr><td>1</td><td>fortune: No such file or directory</td></tr>` +
	`<tr><td>12</td><td>フレームワークのベンチマーク</td></tr></table></body></html>`

// TestTechEmpower verifies the answers by TechEmpower's published rules.
func TestTechEmpower(t *testing.T) {
	url := needPostgres(t)
	ctx := t.Context()
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	for _, s := range setups() {
		t.Run(s[0]+"/"+s[1], func(t *testing.T) {
			args := []string{"-driver", s[0], "-dispatch", s[1], "-db", url}
			if s[1] != "inline" {
				args = append(args, "-db-over", "loop")
			}
			p := startServer(t, args...)
			if body := ask(t, p, "/json", "application/json"); string(body) != `{"message":"Hello, World!"}` {
				t.Errorf("/json: %q", body)
			}
			if body := ask(t, p, "/plaintext", "text/plain"); string(body) != "Hello, World!" {
				t.Errorf("/plaintext: %q", body)
			}
			seen := make(map[int]bool)
			for range 20 {
				row := wantWorlds(t, "/db", fmt.Appendf(nil, "[%s]", ask(t, p, "/db", "application/json")), 1)[0]
				seen[row["id"]] = true
			}
			if len(seen) < 10 {
				t.Errorf("/db: 20 answers with %d different rows", len(seen))
			}
			for arg, n := range map[string]int{
				"": 1, "?queries=": 1, "?queries=foo": 1, "?queries=0": 1, "?queries=-3": 1, "?queries=1": 1,
				"?queries=20": 20, "?queries=500": 500, "?queries=501": 500, "?queries=99999999999999999999": 500,
			} {
				wantWorlds(t, "/queries"+arg, ask(t, p, "/queries"+arg, "application/json"), n)
				rows := wantWorlds(t, "/updates"+arg, ask(t, p, "/updates"+arg, "application/json"), n)
				for _, row := range rows { // they are in the database, unless updated again
					var number int
					if err := db.QueryRow(ctx, selectWorld, row["id"]).Scan(nil, &number); err != nil || number != row["randomNumber"] {
						t.Errorf("/updates%s: %v is %d in the database, %v", arg, row, number, err)
					}
				}
			}
			if body := ask(t, p, "/fortunes", "text/html; charset=utf-8"); string(body) != fortunesWant {
				t.Errorf("/fortunes:\n%s\nwant\n%s", body, fortunesWant)
			}
			checkAnswers(t, p, "/db/sleep?ms=1", "waited 1 ms\n")
		})
	}
}

// TestUpdatesTogether: updates of the same rows do not wait for each other in a
// circle, and none is lost.
func TestUpdatesTogether(t *testing.T) {
	url := needPostgres(t)
	p := startServer(t, "-db", url+"&pool_max_conns=8")
	const clients, each = 8, 10
	errs := make(chan error, clients)
	for range clients {
		go func() {
			for range each {
				res, err := client.Get(p.url + "/updates?queries=500")
				if err == nil {
					_, err = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
				if err == nil && res.StatusCode != http.StatusOK {
					err = fmt.Errorf("status %d", res.StatusCode)
				}
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range clients {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// TestOneWaitsAnotherIsServed is the scene that the project starts from: user 1
// waits for the database, user 2 is served at once, user 1's answer continues
// when the database answers. All on one loop.
func TestOneWaitsAnotherIsServed(t *testing.T) {
	url := needPostgres(t)
	for _, driver := range []string{"io_uring", "epoll"} {
		for i, dispatch := range []string{"pooled", "adaptive", "pooled", "adaptive"} {
			over := []string{"net", "net", "loop", "loop"}[i]
			t.Run(driver+"/"+dispatch+"/"+over, func(t *testing.T) {
				ctx := t.Context()
				p := startServer(t, "-driver", driver, "-dispatch", dispatch, "-loops", "1", "-db", url, "-db-over", over)
				db, err := pgx.Connect(ctx, url)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = db.Close(context.Background()) }()
				tx, err := db.Begin(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := tx.Exec(ctx, "LOCK TABLE fortune IN ACCESS EXCLUSIVE MODE"); err != nil {
					t.Fatal(err)
				}
				user1 := make(chan string, 1)
				go func() {
					res, err := client.Get(p.url + "/fortunes")
					if err != nil {
						user1 <- err.Error()
						return
					}
					body, _ := io.ReadAll(res.Body)
					_ = res.Body.Close()
					user1 <- string(body)
				}()
				// user 1's query waits for our lock
				for waiting := 0; waiting == 0; {
					err := tx.QueryRow(ctx, "SELECT count(*) FROM pg_locks WHERE relation = 'fortune'::regclass AND NOT granted").Scan(&waiting)
					if err != nil {
						t.Fatal(err)
					}
				}
				for range 100 { // user 2
					wantWorlds(t, "/queries", ask(t, p, "/queries", "application/json"), 1)
				}
				select {
				case body := <-user1:
					t.Fatalf("user 1 did not wait: %q", body)
				default:
				}
				if err := tx.Commit(ctx); err != nil {
					t.Fatal(err)
				}
				if body := <-user1; body != fortunesWant {
					t.Errorf("user 1: %q", body)
				}
			})
		}
	}
}

func TestWithoutDatabase(t *testing.T) {
	p := startServer(t, "-db", "")
	for _, path := range []string{"/db", "/queries?queries=2", "/updates", "/fortunes", "/db/sleep"} {
		res, err := client.Get(p.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "-db URL") {
			t.Errorf("%s: status %d, %q", path, res.StatusCode, body)
		}
	}
}

func TestSomeIDs(t *testing.T) {
	for _, n := range []int{1, 2, 500} {
		ids := someIDs(n)
		distinct := make(map[int32]bool)
		for _, id := range ids {
			if id < 1 || id > worlds {
				t.Errorf("id %d", id)
			}
			distinct[id] = true
		}
		if len(distinct) != n || !slices.IsSorted(ids) {
			t.Errorf("%d ids: %v", n, slices.Sorted(maps.Keys(distinct)))
		}
	}
}
