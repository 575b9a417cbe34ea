package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"noteworks.dev/test/local"
)

// diskFaults are of what JetStream keeps its files on.
func diskFaults() []scenario {
	return []scenario{
		{
			name: "JetStream's disk full", row: "JetStream's disk full", own: true, shape: smallDisk,
			lasts: 30 * time.Second, lastsShort: 15 * time.Second, breaks: fillDisk, heals: emptyDisk, holds: writesWentOn, within: 30 * time.Second,
		},
	}
}

// smallDisk gives NATS a file system of its own, in memory and small, in a mount namespace of its own: what is mounted there goes with the process.
func smallDisk(_ *world, o *local.SpreadOptions) error {
	o.NATSCommand = func(_, dir string) []string {
		const script = `mkdir -p "$0" && mount -t tmpfs -o size=64m noteworks "$0" && exec "$@"`
		return []string{"unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, dir}
	}
	o.Settings["NATS_STREAM_MAX_BYTES"] = "1073741824"
	return nil
}

// ballast is a file on NATS's disk, seen through its process.
func (r *round) ballast() string {
	return filepath.Join("/proc", fmt.Sprint(r.Process("nats-1").PID()), "root", r.NATSDir("nats-1"), "ballast")
}

// fillDisk writes until nothing is left.
func fillDisk(_ context.Context, r *round) error {
	file, err := os.Create(r.ballast())
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for size := 1 << 20; size > 0; {
		_, err := file.Write(make([]byte, size))
		switch {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2 // to the last byte
		case err != nil:
			return err
		}
	}
	return nil
}

// emptyDisk makes room. A server of NATS that has given JetStream up is not healthy, and is started anew, as Kubernetes does it.
func emptyDisk(ctx context.Context, r *round) error {
	name, err := r.relay(patient(ctx, 10*time.Second))
	if err != nil {
		return err
	}
	behind, err := r.metric(ctx, name, "outbox_oldest_unpublished_seconds")
	if err != nil {
		return err
	}
	r.check(behind > 1, "the oldest event waits for %.0f s, and a metric says so", behind)
	if err := os.Remove(r.ballast()); err != nil {
		return err
	}
	if !r.Process("nats-1").Healthy(ctx) {
		r.check(true, "NATS is unhealthy, and started anew")
		if err := r.Process("nats-1").Stop(); err != nil {
			return fmt.Errorf("NATS: %w", err)
		}
	}
	return startAll(ctx, r)
}
