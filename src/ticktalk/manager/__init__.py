"""The runtime manager's rules and state (sans-I/O)."""
