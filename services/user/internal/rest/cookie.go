package rest

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"noteworks.dev/services/internal/httpserver"
)

const (
	cookieName = "nw_refresh"
	// cookiePath is all that the refresh token is ever sent to.
	cookiePath = "/api/v1/auth"
)

// refreshCookie is the refresh token of a request. With two of the name, which a neighbouring domain can bring about, there is none.
func refreshCookie(c *gin.Context) string {
	found := c.Request.CookiesNamed(cookieName)
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

// setCookie is the header that gives a browser the refresh token for as long as the session can last; lasts 0 takes it away.
func (a *API) setCookie(c *gin.Context, token string, lasts time.Duration) *string {
	cookie := http.Cookie{
		Name: cookieName, Value: token, Path: cookiePath, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: httpserver.Scheme(c.Request, a.TrustedProxies) == "https",
		MaxAge: int(lasts / time.Second),
	}
	if cookie.MaxAge <= 0 {
		cookie.MaxAge = -1
	}
	header := cookie.String()
	return &header
}
