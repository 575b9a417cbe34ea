// Command gateway is the one public door: it serves the web app, routes REST to its services, and pushes live updates.
package main

import (
	"noteworks.dev/services/gateway/server"
	"noteworks.dev/services/internal/program"
)

func main() { program.Main(server.Program()) }
