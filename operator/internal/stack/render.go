package stack

type rendering struct{}
