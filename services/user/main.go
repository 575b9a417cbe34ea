// Command user is the service that knows who: workspaces, people, credentials, sessions and tokens.
// It is configured by its environment only; package server lists the settings.
package main

import (
	"noteworks.dev/services/internal/program"
	"noteworks.dev/services/user/server"
)

func main() { program.Main(server.Program()) }
