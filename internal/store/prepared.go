package store

import (
	"container/list"
	"context"
	"database/sql/driver"
	"fmt"
)

// maxPrepared bounds the statements that one connection keeps prepared. The server has
// fewer; lists of ids of different lengths make more.
const maxPrepared = 128

// preparing is a connector whose connections keep what they have prepared: both drivers
// parse a statement anew each time otherwise, which was a sixth of the work of a send.
type preparing struct{ driver.Connector }

// Connect implements driver.Connector.
func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	inner, ok := opened.(preparable)
	if !ok {
		return nil, fmt.Errorf("a connection of type %T cannot keep statements", opened)
	}
	return &preparedConn{preparable: inner, kept: make(map[string]*list.Element)}, nil
}

// preparable is what the connections of both drivers can do.
type preparable interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// preparedConn is one connection with its statements, the least recently used of which
// gives way to a new one. Like every connection of database/sql it is used by one
// goroutine at a time.
type preparedConn struct {
	preparable
	kept  map[string]*list.Element // of *prepared
	order list.List                // the one used last in front
}

// prepared is a kept statement.
type prepared struct {
	query string
	stmt  driver.Stmt
	// busy is set while rows of it are open: it serves one query at a time.
	busy bool
}

// statement returns the kept statement for a query, which it prepares when there is
// none. It returns nil when the one there is is in use: the driver has to do without.
func (c *preparedConn) statement(ctx context.Context, query string) (*prepared, error) {
	if e, ok := c.kept[query]; ok {
		p := e.Value.(*prepared)
		if p.busy {
			return nil, nil
		}
		c.order.MoveToFront(e)
		return p, nil
	}
	stmt, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c.makeRoom()
	p := &prepared{query: query, stmt: stmt}
	c.kept[query] = c.order.PushFront(p)
	return p, nil
}

// makeRoom lets the statements go that were not used for longest.
func (c *preparedConn) makeRoom() {
	for e := c.order.Back(); e != nil && len(c.kept) >= maxPrepared; {
		p, before := e.Value.(*prepared), e.Prev()
		if !p.busy {
			c.order.Remove(e)
			delete(c.kept, p.query)
			_ = p.stmt.Close() // Nothing of it is needed any more.
		}
		e = before
	}
}

// QueryContext implements driver.QueryerContext.
func (c *preparedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	p, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return c.preparable.QueryContext(ctx, query, args)
	}
	rows, err := p.stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	p.busy = true
	return &preparedRows{Rows: rows, of: p}, nil
}

// ExecContext implements driver.ExecerContext.
func (c *preparedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	p, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return c.preparable.ExecContext(ctx, query, args)
	}
	return p.stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

// Close implements driver.Conn.
func (c *preparedConn) Close() error {
	for e := c.order.Front(); e != nil; e = e.Next() {
		_ = e.Value.(*prepared).stmt.Close() // The connection ends with them.
	}
	return c.preparable.Close()
}

// preparedRows are rows of a kept statement, which is free again when they are closed.
type preparedRows struct {
	driver.Rows
	of *prepared
}

// Close implements driver.Rows.
func (r *preparedRows) Close() error {
	r.of.busy = false
	return r.Rows.Close()
}
