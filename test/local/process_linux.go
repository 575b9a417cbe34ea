package local

import "syscall"

// endsWithUs makes the kernel kill the child when this process ends, however it ends.
func endsWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
