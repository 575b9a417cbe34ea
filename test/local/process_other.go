//go:build !linux

package local

import "syscall"

func endsWithUs() *syscall.SysProcAttr { return nil }
