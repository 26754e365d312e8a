package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/coder/websocket"
)

// bareServer is the least server that keeps what a chat says: it speaks as much of
// graphql-transport-ws as the client here needs, stores a send with as many statements and
// commits as the server does, in tables without an index too many, reads the line for the
// model, hands on the pieces of its reply, and stores the end. It has no schema, no accounts,
// no limits, no replicas and no recovery. What it costs is the floor: whatever keeps these
// promises by these means costs at least that.
type bareServer struct {
	web   *http.Client
	model string
	store bareStore
	ids   atomic.Int64
}

// serveBare serves until ctx ends. It writes its address as the first line.
func serveBare(ctx context.Context, model, database, name string, out io.Writer) error {
	store, err := openBareStore(ctx, database, name)
	if err != nil {
		return err
	}
	defer store.close()
	s := &bareServer{model: model, store: store,
		web: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4096, DisableCompression: true}}}
	return serve(ctx, s, out)
}

// bareFrame is a message of a client.
type bareFrame struct {
	ID, Type string
	Payload  struct {
		Query     string
		Variables struct {
			ID    string
			Input struct{ ConversationID, Content, ClientKey string }
		}
	}
}

// ServeHTTP serves one socket.
func (s *bareServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{"graphql-transport-ws"}, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // The caller has its answer.
	}
	defer func() { _ = conn.CloseNow() }() // It is cut mostly.
	ctx := r.Context()
	feed := ""
	for {
		_, raw, err := conn.Read(ctx)
		if err != nil {
			return
		}
		var f bareFrame
		if err := json.Unmarshal(raw, &f); err != nil {
			return
		}
		switch {
		case f.Type == "connection_init":
			err = conn.Write(ctx, websocket.MessageText, []byte(`{"type":"connection_ack"}`))
		case f.Type != "subscribe":
		case strings.HasPrefix(f.Payload.Query, "subscription"):
			feed = f.ID
			err = next(ctx, conn, f.ID, `"conversationEvents":{"__typename":"ConversationSnapshot"}`)
		case strings.Contains(f.Payload.Query, "createConversation"):
			id := s.id("c")
			if err = s.store.create(ctx, id); err == nil {
				err = next(ctx, conn, f.ID, `"createConversation":{"conversation":{"id":"`+id+`"}}`)
			}
		default:
			err = s.send(ctx, conn, f, feed)
		}
		if err != nil {
			return
		}
	}
}

func (s *bareServer) id(kind string) string { return kind + strconv.FormatInt(s.ids.Add(1), 36) }

func next(ctx context.Context, conn *websocket.Conn, id, data string) error {
	return conn.Write(ctx, websocket.MessageText, []byte(`{"id":"`+id+`","type":"next","payload":{"data":{`+data+`}}}`))
}

// send stores a question with its reply, answers, and has the reply written.
func (s *bareServer) send(ctx context.Context, conn *websocket.Conn, f bareFrame, feed string) error {
	input := f.Payload.Variables.Input
	turn := bareTurn{conversation: input.ConversationID, key: input.ClientKey, content: input.Content,
		question: s.id("m"), reply: s.id("m")}
	if err := s.store.send(ctx, turn); err != nil {
		return err
	}
	go func() {
		if err := s.write(ctx, conn, turn, feed); err != nil {
			_ = conn.CloseNow() // So that the client finds it.
		}
	}()
	return next(ctx, conn, f.ID, `"sendMessage":{"reply":{"id":"`+turn.reply+`","status":"STREAMING","content":""}}`)
}

// write asks the model and hands on what it says.
func (s *bareServer) write(ctx context.Context, conn *websocket.Conn, t bareTurn, feed string) error {
	body, err := s.store.prompt(ctx, t.conversation, []byte(`{"model":"`+modelName+`","stream":true,"messages":[`))
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.model+"/v1/chat/completions",
		bytes.NewReader(append(body, "]}"...)))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.web.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // Only read.
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the model server answers %s", response.Status)
	}
	text, err := handOn(ctx, conn, response.Body, t.reply, feed)
	if err != nil {
		return err
	}
	if err := s.store.end(ctx, t.reply, text); err != nil {
		return err
	}
	return next(ctx, conn, feed, `"conversationEvents":{"__typename":"MessageFinished","message":{"id":"`+t.reply+
		`","role":"ASSISTANT","status":"COMPLETED","attempt":1,"content":"`+string(text)+`","error":null}}`)
}

// handOn writes what arrives together as one piece. Tokens hold nothing that JSON escapes.
func handOn(ctx context.Context, conn *websocket.Conn, body io.Reader, id, feed string) ([]byte, error) {
	lines := bufio.NewReaderSize(body, 8192)
	var text, frame []byte
	sent := 0
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF {
			return text, nil
		}
		if err != nil {
			return nil, err
		}
		if at := bytes.Index(line, contentField); at >= 0 {
			piece := line[at+len(contentField):]
			text = append(text, piece[:max(bytes.IndexByte(piece, '"'), 0)]...)
		}
		if sent == len(text) || bytes.Contains(buffered(lines), contentField) {
			continue
		}
		frame = append(frame[:0], `{"id":"`+feed+`","type":"next","payload":{"data":{"conversationEvents":{`+
			`"__typename":"MessageDelta","offset":`...)
		frame = strconv.AppendInt(frame, int64(sent), 10)
		frame = append(frame, `,"text":"`...)
		frame = append(frame, text[sent:]...)
		frame = append(frame, `","message":{"id":"`+id+`"}}}}}`...)
		sent = len(text)
		if err := conn.Write(ctx, websocket.MessageText, frame); err != nil {
			return nil, err
		}
	}
}

// buffered is what has been received and not read yet.
func buffered(r *bufio.Reader) []byte {
	rest, _ := r.Peek(r.Buffered()) // It is there.
	return rest
}
