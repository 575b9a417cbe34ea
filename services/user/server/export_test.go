package server

// PasswordsAtOnce is passwordsAtOnce, for the tests.
func PasswordsAtOnce(cores int, memory int64) int { return passwordsAtOnce(cores, memory) }
