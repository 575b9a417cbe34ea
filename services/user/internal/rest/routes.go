package rest

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"noteworks.dev/services/api/gen/rest/userrest"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/problem"
)

// anonymous routes work without an access token; everything else needs one.
//
//	GET  /api/v1/workspace
//	POST /api/v1/auth/{register,login,refresh,logout}
func anonymous(route string) bool {
	return route == "/api/v1/workspace" || strings.HasPrefix(route, cookiePath+"/")
}

// Handler is every route of the service:
//
//	GET    /api/v1/me                        PATCH /api/v1/me
//	GET    /api/v1/users                     DELETE /api/v1/users/{userId}
//	POST   /api/v1/users/{userId}/deactivate POST /api/v1/users/{userId}/reactivate
//	GET    /api/v1/invitations               POST /api/v1/invitations
//	DELETE /api/v1/invitations/{invitationId}
//
// and the anonymous ones above.
func (a *API) Handler() http.Handler {
	httpserver.InstallGinCodec()
	gin.SetMode(gin.ReleaseMode) // its debug mode prints to standard output
	engine := gin.New()
	engine.ContextWithFallback = true
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.RemoteIPHeaders = nil // addresses are httpserver.ClientIP's to tell
	if err := engine.SetTrustedProxies(nil); err != nil {
		panic(err) // nil is no address that could be wrong
	}
	engine.NoRoute(gin.WrapF(httpserver.NotFound))
	engine.NoMethod(gin.WrapF(httpserver.MethodNotAllowed))
	engine.Use(route, refuseOddRequests, refuseOtherOrigins, a.authenticate)
	strict := userrest.NewStrictHandlerWithOptions(a, nil, userrest.StrictGinServerOptions{
		RequestErrorHandlerFunc:  unreadable,
		HandlerErrorFunc:         fail,
		ResponseErrorHandlerFunc: fail,
	})
	userrest.RegisterHandlersWithOptions(engine, strict, userrest.GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) { unreadable(c, err) },
	})
	h := httpserver.AccessLog(httpserver.ConditionalGET(engine), a.Telemetry)
	return httpserver.Instrument(h, a.Telemetry, nil)
}

func route(c *gin.Context) { httpserver.SetRoute(c.Request, c.FullPath()) }

// unreadable answers a request that the generated code could not make sense of.
func unreadable(c *gin.Context, err error) { fail(c, httpserver.BindError(err)) }

// fail is the one door by which errors leave.
func fail(c *gin.Context, err error) {
	problem.Write(c.Writer, c.Request, err)
	c.Abort()
}
