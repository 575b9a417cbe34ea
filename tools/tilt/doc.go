// Package tilt runs the repository's Tiltfile as Tilt would, with stand-ins for Tilt's functions, and holds what it asks for against what is there:
// the charts, the Makefile, kind-config.yaml. It has nothing but tests.
package tilt
