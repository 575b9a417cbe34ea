package measure

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process, or a tree of them, has used.
type Usage struct {
	CPU      time.Duration
	Resident int64 // bytes
}

// Sub is what was used since; the memory is that of now.
func (u Usage) Sub(since Usage) Usage { return Usage{CPU: u.CPU - since.CPU, Resident: u.Resident} }

// PerOperation is the CPU in microseconds for each of n operations.
func (u Usage) PerOperation(n int64) float64 {
	return float64(u.CPU.Microseconds()) / float64(max(1, n))
}

// Process reads the account of one process, without its children, from /proc; zero where there is none.
func Process(pid int) Usage {
	s, _ := readStat(pid)
	return s.own
}

// Tree reads the account of a process, of its living descendants, and of those that it has waited for. Memory is the sum of what is resident,
// in which pages that are shared count for each.
func Tree(root int) Usage {
	all := stats()
	sum := Usage{}
	for pid := range all {
		if pid == root || descends(all, pid, root) {
			sum.CPU += all[pid].own.CPU + all[pid].reaped
			sum.Resident += all[pid].own.Resident
		}
	}
	return sum
}

// Children are the direct ones of a process whose name (as the kernel has it) is given.
func Children(parent int, name string) []int {
	var found []int
	for pid, s := range stats() {
		if s.parent == parent && s.name == name {
			found = append(found, pid)
		}
	}
	return slices.Sorted(slices.Values(found))
}

type stat struct {
	name   string
	parent int
	own    Usage
	reaped time.Duration
}

func stats() map[int]stat {
	all := map[int]stat{}
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if s, ok := readStat(pid); ok {
			all[pid] = s
		}
	}
	return all
}

func descends(all map[int]stat, pid, root int) bool {
	for range len(all) { // no longer than that, should a process have been replaced meanwhile
		s, ok := all[pid]
		if !ok || s.parent == 0 {
			return false
		}
		if s.parent == root {
			return true
		}
		pid = s.parent
	}
	return false
}

// tick is the unit of proc(5), 1/100 s on every Linux.
const tick = 10 * time.Millisecond

// readStat reads, of proc(5), the fields 2 (name), 4 (parent), 14 and 15 (user and system time), 16 and 17 (those of children that were waited
// for) and 24 (resident set in pages).
func readStat(pid int) (stat, bool) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, false
	}
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return stat{}, false
	}
	f := strings.Fields(string(text[end+1:]))
	if len(f) < 22 {
		return stat{}, false
	}
	at := func(field int) int64 { v, _ := strconv.ParseInt(f[field-3], 10, 64); return v }
	return stat{
		name:   string(text[open+1 : end]),
		parent: int(at(4)),
		own:    Usage{CPU: time.Duration(at(14)+at(15)) * tick, Resident: at(24) * int64(os.Getpagesize())},
		reaped: time.Duration(at(16)+at(17)) * tick,
	}, true
}
