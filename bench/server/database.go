package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ringcore/ringcore/httpcore"
)

// worlds is the number of rows in the table world; its ids are 1 to worlds, and
// so are its random numbers.
const worlds = 10_000

// openPatience bounds how long the database may take to answer at the start.
const openPatience = 10 * time.Second

// database is TechEmpower's: the tables world and fortune. Its methods wait for
// PostgreSQL and may be called from any goroutine; a nil database fails them.
type database struct {
	pool *pgxpool.Pool
	dial atomic.Pointer[httpcore.Dialer] // nil for Go's own
}

// openDatabase connects to the database at url; "" gives none. The size of the
// pool is the URL's pool_max_conns.
func openDatabase(url string) (*database, error) {
	if url == "" {
		return nil, nil
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("-db: %w", err)
	}
	db := &database{}
	plain := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if d := db.dial.Load(); d != nil {
			return d.DialContext(ctx, network, addr)
		}
		return plain(ctx, network, addr)
	}
	ctx, cancel := context.WithTimeout(context.Background(), openPatience)
	defer cancel()
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err == nil {
		if err = pool.Ping(ctx); err != nil {
			pool.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("-db: %s", strings.ReplaceAll(err.Error(), "\n", " ")) // one line
	}
	db.pool = pool
	return db, nil
}

// over has connections made by d from now on.
func (db *database) over(d *httpcore.Dialer) {
	if db != nil {
		db.dial.Store(d)
		db.pool.Reset()
	}
}

func (db *database) close() {
	if db != nil {
		db.pool.Close()
	}
}

// world is a row of the table world.
type world struct {
	ID           int32 `json:"id"`
	RandomNumber int32 `json:"randomNumber"`
}

func randomWorld() int32 { return rand.Int32N(worlds) + 1 }

const selectWorld = "SELECT id, randomnumber FROM world WHERE id = $1"

// one returns a row at random.
func (db *database) one(ctx context.Context) (w world, err error) {
	err = db.pool.QueryRow(ctx, selectWorld, randomWorld()).Scan(&w.ID, &w.RandomNumber)
	return w, err
}

// some returns n different rows at random, 1 to worlds, ordered by id. Each is
// asked for by a query of its own; the queries leave in one batch.
func (db *database) some(ctx context.Context, n int) ([]world, error) {
	var batch pgx.Batch
	rows := make([]world, n)
	for i, id := range someIDs(n) {
		batch.Queue(selectWorld, id).QueryRow(func(r pgx.Row) error {
			return r.Scan(&rows[i].ID, &rows[i].RandomNumber)
		})
	}
	return rows, db.pool.SendBatch(ctx, &batch).Close()
}

// someIDs returns n different ids in ascending order: who locks rows in the same
// order waits for nobody in a circle.
func someIDs(n int) []int32 {
	ids := make([]int32, 0, n)
	for len(ids) < n {
		id := randomWorld()
		if at, found := slices.BinarySearch(ids, id); !found {
			ids = slices.Insert(ids, at, id)
		}
	}
	return ids
}

// update gives n rows at random a new number each, and returns them as they are
// now.
func (db *database) update(ctx context.Context, n int) ([]world, error) {
	rows, err := db.some(ctx, n)
	if err != nil {
		return nil, err
	}
	ids, numbers := make([]int32, n), make([]int32, n)
	for i := range rows {
		was := rows[i].RandomNumber
		for rows[i].RandomNumber == was { // an update that changes nothing would be none
			rows[i].RandomNumber = randomWorld()
		}
		ids[i], numbers[i] = rows[i].ID, rows[i].RandomNumber
	}
	_, err = db.pool.Exec(ctx, `UPDATE world SET randomnumber = new.number
		FROM (SELECT unnest($1::int[]) AS id, unnest($2::int[]) AS number ORDER BY 1) AS new
		WHERE world.id = new.id`, ids, numbers)
	return rows, err
}

// fortune is a row of the table fortune.
type fortune struct {
	ID      int32
	Message string
}

// fortunes returns the whole table.
func (db *database) fortunes(ctx context.Context) ([]fortune, error) {
	rows, err := db.pool.Query(ctx, "SELECT id, message FROM fortune")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[fortune])
}

// sleep waits in the database.
func (db *database) sleep(ctx context.Context, ms int) error {
	_, err := db.pool.Exec(ctx, "SELECT pg_sleep($1)", float64(ms)/1000)
	return err
}
