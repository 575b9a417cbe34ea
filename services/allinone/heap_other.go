//go:build !linux

package main

// inHugePages does nothing: it is the kernel's business here.
func inHugePages(uintptr, uintptr, bool) {}
