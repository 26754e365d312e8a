package store

import (
	"container/list"
	"context"
	"database/sql/driver"
	"fmt"
	"net/netip"
)

// maxPrepared bounds the statements that one connection remembers. The server has fewer;
// lists of ids of different lengths make more.
const maxPrepared = 128

// A connection prepares a statement when it is asked for it so many times. On Postgres that
// is a round trip of its own, which pays for itself later.
const (
	prepareAtSQLite   = 1
	prepareAtPostgres = 3
)

// preparing is a connector whose connections keep what they have prepared. Both drivers have
// a statement parsed and planned anew each time otherwise: a sixth of the work of a send on
// SQLite, and most of the time of one on Postgres.
type preparing struct {
	driver.Connector
	timer *timer // Nil: time is not taken.
	path  string // Of SQLite's file; empty on Postgres.
}

// Connect implements driver.Connector.
func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	if p.timer == nil {
		return c, nil
	}
	return p.timer.timed(c), nil
}

func (p preparing) connect(ctx context.Context) (driver.Conn, error) {
	opened, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if c, ok := opened.(*connection); ok {
		direct, err := c.isDirect(ctx)
		if err != nil {
			_ = c.Close() // Never used.
			return nil, err
		}
		if !direct {
			return c, nil
		}
		kept := preparedConn{preparable: c, kept: make(map[string]*list.Element), from: prepareAtPostgres}
		return &preparedPostgres{preparedConn: kept, NamedValueChecker: c}, nil
	}
	inner, ok := opened.(preparable)
	if !ok {
		return nil, fmt.Errorf("a connection of type %T cannot keep statements", opened)
	}
	return &preparedConn{preparable: inner, kept: make(map[string]*list.Element), from: prepareAtSQLite,
		path: p.path}, nil
}

// isDirect reports whether the server at the other end is Postgres itself: it sees the
// address that this end has. A pooler between them may put every transaction on another
// session, where what was prepared is not, or is something else. Through an address
// translation, or a socket without an address, one cannot know.
func (c *connection) isDirect(ctx context.Context) (bool, error) {
	here, err := netip.ParseAddrPort(c.link.LocalAddr().String())
	if err != nil {
		return false, nil // A socket of the file system.
	}
	rows, err := c.QueryContext(ctx, "SELECT coalesce(host(inet_client_addr()), ''), coalesce(inet_client_port(), 0)", nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = rows.Close() }() // One row, which was read or not.
	row := make([]driver.Value, 2)
	if err := rows.Next(row); err != nil {
		return false, err
	}
	seen, err := netip.ParseAddr(fmt.Sprint(row[0]))
	if err != nil {
		return false, nil
	}
	port, _ := row[1].(int64)
	return seen.Unmap() == here.Addr().Unmap().WithZone("") && port == int64(here.Port()), nil
}

// preparedPostgres is a preparedConn of lib/pq, which has arguments of its own.
type preparedPostgres struct {
	preparedConn
	driver.NamedValueChecker
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
	from  int                      // how often a statement is asked for before it is prepared
	// lost is set when the server does not have what was prepared, or will not run it any
	// more, since a table has changed under it: the connection is not used again.
	lost bool
	path string // Of SQLite's file; empty on Postgres.
}

// prepared is a statement that was asked for.
type prepared struct {
	query string
	asked int
	stmt  driver.Stmt // Nil while it was asked for too seldom.
	// busy is set while rows of it are open: it serves one query at a time.
	busy bool
}

// statement returns the kept statement for a query, which it prepares when it is time. It
// returns nil when it is not, or the one there is is in use: the driver has to do without.
func (c *preparedConn) statement(ctx context.Context, query string) (*prepared, error) {
	e, ok := c.kept[query]
	if !ok {
		c.makeRoom()
		e = c.order.PushFront(&prepared{query: query})
		c.kept[query] = e
	}
	c.order.MoveToFront(e)
	p := e.Value.(*prepared)
	if p.stmt == nil {
		if p.asked++; p.asked < c.from {
			return nil, nil
		}
		stmt, err := c.PrepareContext(ctx, query)
		if err != nil {
			c.order.Remove(e)
			delete(c.kept, query)
			return nil, err
		}
		p.stmt = stmt
	}
	if p.busy {
		return nil, nil
	}
	return p, nil
}

// makeRoom lets the statements go that were not used for longest.
func (c *preparedConn) makeRoom() {
	for e := c.order.Back(); e != nil && len(c.kept) >= maxPrepared; {
		p, before := e.Value.(*prepared), e.Prev()
		if !p.busy {
			c.order.Remove(e)
			delete(c.kept, p.query)
			if p.stmt != nil {
				_ = p.stmt.Close() // Nothing of it is needed any more.
			}
		}
		e = before
	}
}

// QueryContext implements driver.QueryerContext.
func (c *preparedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	p, err := c.statement(ctx, query)
	if err != nil {
		return nil, c.judge(err)
	}
	if p == nil {
		return c.preparable.QueryContext(ctx, query, args)
	}
	rows, err := p.stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return nil, c.judge(err)
	}
	p.busy = true
	return &preparedRows{Rows: rows, of: p, path: c.path}, nil
}

// ExecContext implements driver.ExecerContext.
func (c *preparedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	p, err := c.statement(ctx, query)
	if err != nil {
		return nil, c.judge(err)
	}
	if p == nil {
		return c.preparable.ExecContext(ctx, query, args)
	}
	result, err := p.stmt.(driver.StmtExecContext).ExecContext(ctx, args)
	return result, c.judge(err)
}

// judge notes whether an error says that the server has lost what was prepared, and names
// a file that is damaged.
func (c *preparedConn) judge(err error) error {
	if isLostStatement(err) {
		c.lost = true
	}
	return nameDamaged(c.path, err)
}

// IsValid implements driver.Validator.
func (c *preparedConn) IsValid() bool { return !c.lost && c.preparable.IsValid() }

// Close implements driver.Conn.
func (c *preparedConn) Close() error {
	for e := c.order.Front(); e != nil; e = e.Next() {
		if stmt := e.Value.(*prepared).stmt; stmt != nil && c.from == prepareAtSQLite {
			_ = stmt.Close() // The connection ends with them; on Postgres the server sees to it.
		}
	}
	return c.preparable.Close()
}

// preparedRows are rows of a kept statement, which is free again when they are closed.
type preparedRows struct {
	driver.Rows
	of   *prepared
	path string
}

// Next implements driver.Rows.
func (r *preparedRows) Next(dest []driver.Value) error { return nameDamaged(r.path, r.Rows.Next(dest)) }

// Close implements driver.Rows.
func (r *preparedRows) Close() error {
	r.of.busy = false
	return r.Rows.Close()
}
