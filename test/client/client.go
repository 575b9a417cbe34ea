// Package client is a person at a Noteworks workspace: it signs in, writes, shares and watches, over the public REST and WebSocket API only.
// It shares no code with the services, so that what it accepts is what any other client may rely on.
// Used by the system test, the load and the fault commands.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Client is one person's browser: a cookie jar, an access token, an address. Safe for concurrent use after signing in.
type Client struct {
	base string
	http *http.Client

	mu    sync.Mutex
	token string
	user  User
}

// User is who signed in.
type User struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
}

// Note is a note as the API answers it.
type Note struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Body    string   `json:"body"`
	Tags    []string `json:"tags"`
	Version int      `json:"version"`
	Role    string   `json:"role"`
}

// Problem is an RFC 9457 answer as an error.
type Problem struct {
	Status  int             `json:"status"`
	Code    string          `json:"code"`
	Title   string          `json:"title"`
	Detail  string          `json:"detail"`
	TraceID string          `json:"traceId"`
	Current json.RawMessage `json:"current"`
}

func (p *Problem) Error() string {
	return fmt.Sprintf("%d %s: %s (trace %s)", p.Status, p.Code, p.Detail, p.TraceID)
}

// StatusOf returns the HTTP status of a Problem in err, 0 if there is none.
func StatusOf(err error) int {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p.Status
	}
	return 0
}

// New makes a client of the workspace at base, such as http://localhost:8080. transport may be shared by many clients; nil means a new one.
func New(base string, transport http.RoundTripper) *Client {
	jar, _ := cookiejar.New(nil) // never fails without options
	if transport == nil {
		transport = Loopback()
	}
	return &Client{base: strings.TrimSuffix(base, "/"), http: &http.Client{Jar: jar, Transport: transport, Timeout: 15 * time.Second}}
}

// Base returns the workspace's address.
func (c *Client) Base() string { return c.base }

// User returns who is signed in.
func (c *Client) User() User {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.user
}

// Token returns the current access token.
func (c *Client) Token() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

type session struct {
	User        User   `json:"user"`
	AccessToken string `json:"accessToken"`
	ExpiresIn   int    `json:"expiresIn"`
}

// Register signs up and in.
func (c *Client) Register(ctx context.Context, email, name, password string) error {
	return c.signIn(ctx, "register", map[string]string{"email": email, "name": name, "password": password})
}

// Login signs in.
func (c *Client) Login(ctx context.Context, email, password string) error {
	return c.signIn(ctx, "login", map[string]string{"email": email, "password": password})
}

// Refresh renews the access token by the refresh cookie.
func (c *Client) Refresh(ctx context.Context) error { return c.signIn(ctx, "refresh", nil) }

func (c *Client) signIn(ctx context.Context, how string, body any) error {
	var s session
	if _, err := c.Do(ctx, http.MethodPost, "/api/v1/auth/"+how, nil, body, &s); err != nil {
		return fmt.Errorf("%s: %w", how, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token, c.user = s.AccessToken, s.User
	return nil
}

// Logout ends the session.
func (c *Client) Logout(ctx context.Context) error {
	_, err := c.Do(ctx, http.MethodPost, "/api/v1/auth/logout", nil, nil, nil)
	return err
}

// Create writes a note.
func (c *Client) Create(ctx context.Context, title, body string) (Note, error) {
	var n Note
	once := http.Header{"Idempotency-Key": {rand.Text()}} // with it net/http, too, asks again when the connection it had kept was being closed
	_, err := c.Do(ctx, http.MethodPost, "/api/v1/notes", once, map[string]any{"title": title, "body": body, "tags": []string{}}, &n)
	return n, err
}

// Note reads a note.
func (c *Client) Note(ctx context.Context, id string) (Note, error) {
	var n Note
	_, err := c.Do(ctx, http.MethodGet, "/api/v1/notes/"+url.PathEscape(id), nil, nil, &n)
	return n, err
}

// Change replaces the body of a note that is at version.
func (c *Client) Change(ctx context.Context, id string, version int, body string) (Note, error) {
	var n Note
	_, err := c.Do(ctx, http.MethodPatch, "/api/v1/notes/"+url.PathEscape(id), http.Header{"If-Match": {fmt.Sprintf("%q", fmt.Sprint(version))}}, map[string]string{"body": body}, &n)
	return n, err
}

// Share lets a person see a note in a role.
func (c *Client) Share(ctx context.Context, id, personID, role string) error {
	_, err := c.Do(ctx, http.MethodPut, "/api/v1/notes/"+url.PathEscape(id)+"/shares/"+url.PathEscape(personID), nil, map[string]string{"role": role}, nil)
	return err
}

// Unshare takes a share away.
func (c *Client) Unshare(ctx context.Context, id, personID string) error {
	_, err := c.Do(ctx, http.MethodDelete, "/api/v1/notes/"+url.PathEscape(id)+"/shares/"+url.PathEscape(personID), nil, nil, nil)
	return err
}

// List returns the ids of one page of the notes that match query, such as "view=shared&q=words".
func (c *Client) List(ctx context.Context, query string) ([]Note, error) {
	var page struct {
		Items []Note `json:"items"`
	}
	_, err := c.Do(ctx, http.MethodGet, "/api/v1/notes?"+query, nil, nil, &page)
	return page.Items, err
}

// Find returns the person of the workspace who has the e-mail address.
func (c *Client) Find(ctx context.Context, email string) (User, error) {
	var page struct {
		Items []User `json:"items"`
	}
	if _, err := c.Do(ctx, http.MethodGet, "/api/v1/users?email="+url.QueryEscape(email), nil, nil, &page); err != nil {
		return User{}, err
	}
	if len(page.Items) != 1 {
		return User{}, fmt.Errorf("find %s: %d people", email, len(page.Items))
	}
	return page.Items[0], nil
}

// Do sends one request with the access token and decodes a 2xx answer into out; any other answer is a *Problem.
// body is sent as JSON unless nil; []byte is sent as it is.
func (c *Client) Do(ctx context.Context, method, path string, header http.Header, body, out any) (http.Header, error) {
	req, err := c.request(ctx, method, path, header, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.Header, err
	}
	if resp.StatusCode/100 != 2 {
		return resp.Header, problem(resp.StatusCode, data)
	}
	if out == nil {
		return resp.Header, nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return resp.Header, fmt.Errorf("%s %s answered what is not JSON of this shape: %w", method, path, err)
	}
	return resp.Header, nil
}

func (c *Client) request(ctx context.Context, method, path string, header http.Header, body any) (*http.Request, error) {
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		content = bytes.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if t := c.Token(); t != "" && req.Header.Get("Authorization") == "" {
		req.Header.Set("Authorization", "Bearer "+t)
	}
	return req, nil
}

func problem(status int, data []byte) error {
	p := &Problem{}
	if json.Unmarshal(data, p) != nil || p.Code == "" {
		return &Problem{Status: status, Code: "not-a-problem", Detail: strings.TrimSpace(string(data[:min(len(data), 200)]))}
	}
	p.Status = status
	return p
}

// Loopback returns a transport that reaches every name on this machine, as browsers do for *.localhost.
func Loopback() *http.Transport {
	return &http.Transport{
		MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}
}
