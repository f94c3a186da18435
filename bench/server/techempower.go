package main

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
)

// The tests of TechEmpower's Framework Benchmarks that need a database, by the
// rules that it publishes ("Project Information: Framework Tests Overview").

// maxQueries is the most that /queries and /updates do; more counts as this.
const maxQueries = 500

// withDatabase returns a handler of the routes that need db, nil for none. Other
// paths go to next, nil for none.
func withDatabase(db *database, next fasthttp.RequestHandler) fasthttp.RequestHandler {
	if next == nil {
		next = notFound
	}
	routes := map[string]func(*fasthttp.RequestCtx, *database) error{
		"/db":       oneWorld,
		"/queries":  someWorlds,
		"/updates":  updateWorlds,
		"/fortunes": showFortunes,
		"/db/sleep": sleepThere,
	}
	return func(ctx *fasthttp.RequestCtx) {
		route := routes[string(ctx.Path())]
		switch {
		case route == nil:
			next(ctx)
		case db == nil:
			say(ctx, fasthttp.StatusServiceUnavailable, "no database: start the server with -db URL")
		default:
			if err := route(ctx, db); err != nil {
				say(ctx, fasthttp.StatusInternalServerError, err.Error())
			}
		}
	}
}

// A query is not cancelled when its client goes: cancelling costs a connection
// to the database, finishing a moment.
var queryContext = context.Background()

func oneWorld(ctx *fasthttp.RequestCtx, db *database) error {
	row, err := db.one(queryContext)
	if err == nil {
		sayJSON(ctx, row)
	}
	return err
}

func someWorlds(ctx *fasthttp.RequestCtx, db *database) error {
	rows, err := db.some(queryContext, queries(ctx))
	if err == nil {
		sayJSON(ctx, rows)
	}
	return err
}

func updateWorlds(ctx *fasthttp.RequestCtx, db *database) error {
	rows, err := db.update(queryContext, queries(ctx))
	if err == nil {
		sayJSON(ctx, rows)
	}
	return err
}

// queries returns the number that is asked for: what is missing, no number or
// below 1 counts as 1, what is above maxQueries as that.
func queries(ctx *fasthttp.RequestCtx) int {
	n, err := strconv.Atoi(string(ctx.QueryArgs().Peek("queries")))
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 1
	}
	return min(max(n, 1), maxQueries)
}

var fortunesPage = template.Must(template.New("fortunes").Parse(
	`<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table><tr><th>id</th><th>message</th></tr>` +
		`{{range .}}<tr><td>{{.ID}}</td><td>{{.Message}}</td></tr>{{end}}</table></body></html>`))

func showFortunes(ctx *fasthttp.RequestCtx, db *database) error {
	rows, err := db.fortunes(queryContext)
	if err != nil {
		return err
	}
	rows = append(rows, fortune{Message: "Additional fortune added at request time."})
	slices.SortFunc(rows, func(a, b fortune) int { return strings.Compare(a.Message, b.Message) })
	ctx.SetContentType("text/html; charset=utf-8")
	return fortunesPage.Execute(ctx, rows)
}

func sleepThere(ctx *fasthttp.RequestCtx, db *database) error {
	ms, ok := number(ctx, "ms", 50, 0, maxSlow)
	if !ok {
		return nil
	}
	err := db.sleep(queryContext, ms)
	if err == nil {
		say(ctx, fasthttp.StatusOK, fmt.Sprintf("waited %d ms", ms))
	}
	return err
}
