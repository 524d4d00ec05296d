"""Duties of both drivers for the instances on an ensemble: moves, leases, checkpoints, idle reports (sans-I/O)."""
