"""What both drivers do for instances on an ensemble: moves, leases, checkpoints, reports of being idle (sans-I/O)."""
