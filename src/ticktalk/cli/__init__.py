"""The `ticktalk` command. One file per command; results go to stdout, everything else to stderr."""
