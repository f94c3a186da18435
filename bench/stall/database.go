//go:build unix

package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"
)

// A database that waits: one connection for each query that runs, as with a
// real one, and each query is a round trip over TCP through database/sql.

// openDatabase starts the database's server and returns a pool of connections
// to it.
func openDatabase() (*sql.DB, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go answerQueries(c)
		}
	}()
	db := sql.OpenDB(connector(ln.Addr().String()))
	db.SetMaxIdleConns(4096)
	return db, nil
}

// answerQueries answers each query, which is a duration, when that has passed.
func answerQueries(c net.Conn) {
	defer func() { _ = c.Close() }()
	for b := make([]byte, 8); ; {
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		time.Sleep(time.Duration(binary.BigEndian.Uint64(b)))
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// connector is the address, and a driver.Connector to it.
type connector string

func (a connector) Connect(ctx context.Context) (driver.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", string(a))
	if err != nil {
		return nil, err
	}
	return dbConn{c}, nil
}

func (a connector) Driver() driver.Driver { return nil }

type dbConn struct{ net.Conn }

var errUnsupported = errors.New("the database can only wait")

func (c dbConn) Prepare(string) (driver.Stmt, error) { return nil, errUnsupported }

func (c dbConn) Begin() (driver.Tx, error) { return nil, errUnsupported }

func (c dbConn) ExecContext(_ context.Context, _ string, args []driver.NamedValue) (driver.Result, error) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(args[0].Value.(int64)))
	if _, err := c.Write(b[:]); err != nil {
		return nil, err
	}
	_, err := io.ReadFull(c, b[:])
	return driver.RowsAffected(0), err
}
