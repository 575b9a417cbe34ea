package rest

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"noteworks.dev/services/api/gen/rest/noterest"
	"noteworks.dev/services/internal/httpserver"
)

const (
	notesPath = "/api/v1/notes"
)

// Handler is every route of the service, all of which need an access token. GET answers HEAD, too.
//
//	GET  /api/v1/notes                POST /api/v1/notes                GET /api/v1/tags
//	GET  /api/v1/notes/{id}           PATCH | DELETE                    POST /api/v1/notes/{id}/restore
//	PUT | DELETE /api/v1/notes/{id}/pin                                 PUT | DELETE /api/v1/notes/{id}/archive
//	GET  /api/v1/notes/{id}/shares    PUT | DELETE /api/v1/notes/{id}/shares/{userId}
//	GET  /api/v1/notes/{id}/revisions        GET …/{version}            POST …/{version}/restore
func (a *API) Handler() http.Handler {
	httpserver.InstallGinCodec()
	gin.SetMode(gin.ReleaseMode) // gin's own, and process-wide: otherwise it writes to standard output
	engine := gin.New()
	engine.ContextWithFallback = true
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.RemoteIPHeaders = nil // nobody's address matters here
	if err := engine.SetTrustedProxies(nil); err != nil {
		panic(err) // nil is no address that could be wrong
	}
	engine.NoRoute(gin.WrapF(httpserver.NotFound))
	engine.NoMethod(gin.WrapF(httpserver.MethodNotAllowed))
	engine.Use(route, a.authenticate, refuseOddRequests)
	strict := noterest.NewStrictHandlerWithOptions(a, nil, noterest.StrictGinServerOptions{
		RequestErrorHandlerFunc:  unreadable,
		HandlerErrorFunc:         fail,
		ResponseErrorHandlerFunc: fail,
	})
	noterest.RegisterHandlersWithOptions(engine, strict, noterest.GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) { unreadable(c, err) },
	})
	h := httpserver.AccessLog(headAsGet(conditional(engine)), a.Telemetry)
	return httpserver.Instrument(h, a.Telemetry, nil)
}

func route(c *gin.Context) { httpserver.SetRoute(c.Request, c.FullPath()) }

// headAsGet lets GET's handlers answer HEAD. net/http leaves the body out by itself.
func headAsGet(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			get := *r
			get.Method = http.MethodGet
			r = &get
		}
		h.ServeHTTP(w, r)
	})
}

// conditional marks every answer as its reader's own, and gives lists validators made of their content. A single note has its version
// and date, and judges them itself.
func conditional(h http.Handler) http.Handler {
	lists := httpserver.ConditionalGET(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, no-cache")
		if id, is := strings.CutPrefix(r.URL.Path, notesPath+"/"); is && !strings.Contains(id, "/") {
			h.ServeHTTP(w, r)
			return
		}
		lists.ServeHTTP(w, r)
	})
}
