package world

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Metrics are what one of the services of the program tells Prometheus, without labels. Those of the process (go_*, process_*) are the same for all.
func (w *World) Metrics(ctx context.Context) (map[string]float64, error) {
	ports, err := listening(w.PID())
	if err != nil {
		return nil, err
	}
	for _, port := range ports {
		if found, err := scrape(ctx, fmt.Sprintf("http://127.0.0.1:%d/metrics", port)); err == nil {
			return found, nil
		}
	}
	return nil, fmt.Errorf("none of the ports %v tells metrics", ports)
}

func scrape(ctx context.Context, url string) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	all := map[string]float64{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			all[name] = v
		}
	}
	if _, ok := all["go_goroutines"]; !ok {
		return nil, fmt.Errorf("%s answered %s, without metrics", url, resp.Status)
	}
	return all, lines.Err()
}

// listening finds the loopback ports that a process listens on: the operations ports are any that are free, and told to nobody.
func listening(pid int) ([]int, error) {
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return nil, err
	}
	own := map[string]bool{}
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, "socket:[") {
			own[strings.Trim(target, "socket:[]")] = true
		}
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return nil, err
	}
	var ports []int
	for line := range strings.Lines(string(table)) {
		// proc(5): the second field is address:port in hexadecimal, the fourth the state, the tenth the inode.
		f := strings.Fields(line)
		const listen = "0A"
		if len(f) < 10 || f[3] != listen || !own[f[9]] {
			continue
		}
		_, port, _ := strings.Cut(f[1], ":")
		if b, err := hex.DecodeString(port); err == nil && len(b) == 2 {
			ports = append(ports, int(binary.BigEndian.Uint16(b)))
		}
	}
	return ports, nil
}
