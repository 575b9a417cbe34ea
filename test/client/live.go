package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// Frame is one message of the live socket.
type Frame struct {
	Type   string          `json:"type"`
	Event  string          `json:"event"`
	ID     string          `json:"id"`
	Cursor string          `json:"cursor"`
	Code   string          `json:"code"`
	Data   json.RawMessage `json:"data"`
}

// Fact is what the events of notes have in common.
type Fact struct {
	NoteID   string `json:"noteId"`
	Version  int    `json:"version"`
	ActorID  string `json:"actorId"`
	PersonID string `json:"personId"`
	Body     string `json:"body"`
	Title    string `json:"title"`
	Role     string `json:"role"`
}

// Fact decodes the data of an event frame.
func (f Frame) Fact() (Fact, error) {
	var fact Fact
	if err := json.Unmarshal(f.Data, &fact); err != nil {
		return Fact{}, fmt.Errorf("data of %s: %w", f.Event, err)
	}
	return fact, nil
}

// Live is an open live socket that the server has answered ready.
type Live struct {
	conn *websocket.Conn
	// Ready is the cursor the server named in its ready frame.
	Ready string
}

// Refused is the error of a socket whose authentication was not answered by ready.
type Refused struct{ Code string }

func (r *Refused) Error() string { return "the server answered " + r.Code }

// Watch opens the live socket and authenticates; since is the last cursor seen, or empty. It returns after the ready frame.
func (c *Client) Watch(ctx context.Context, since string) (*Live, error) {
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(c.base, "http")+"/api/v1/live", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: c.http.Transport},
		HTTPHeader: http.Header{"Origin": {c.base}},
	})
	if err != nil {
		return nil, fmt.Errorf("open the live socket: %w", err)
	}
	conn.SetReadLimit(4 << 20)
	auth := map[string]string{"type": "auth", "token": c.Token()}
	if since != "" {
		auth["since"] = since
	}
	if err := wsjson.Write(ctx, conn, auth); err != nil {
		_ = conn.CloseNow()
		return nil, fmt.Errorf("authenticate on the live socket: %w", err)
	}
	l := &Live{conn: conn}
	f, err := l.Next(ctx)
	if err == nil && f.Type != "ready" {
		err = &Refused{Code: f.Code}
	}
	if err != nil {
		_ = conn.CloseNow()
		return nil, fmt.Errorf("wait for ready on the live socket: %w", err)
	}
	l.Ready = f.Cursor
	return l, nil
}

// Next waits for the next frame.
func (l *Live) Next(ctx context.Context) (Frame, error) {
	var f Frame
	err := wsjson.Read(ctx, l.conn, &f)
	return f, err
}

// Close ends the socket at once.
func (l *Live) Close() { _ = l.conn.CloseNow() }
