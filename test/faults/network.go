package main

// networkFaults are faults of the ways between the parts.
func networkFaults() []scenario { return nil }
