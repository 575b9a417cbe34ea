// Command note is the note service: notes, shares, revisions and search. Its settings are environment variables, listed in server.Config.
package main

import (
	"noteworks.dev/services/internal/program"
	"noteworks.dev/services/note/server"
)

func main() { program.Main(server.Program()) }
