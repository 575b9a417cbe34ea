package main

import (
	"os"
	"runtime/pprof"
	"time"
)

func init() {
	if p := os.Getenv("NWPROF"); p != "" {
		go func() {
			time.Sleep(16 * time.Second)
			f, _ := os.Create(p)
			_ = pprof.StartCPUProfile(f)
			time.Sleep(8 * time.Second)
			pprof.StopCPUProfile()
			f.Close()
		}()
	}
}
