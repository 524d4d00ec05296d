"""What TickTalk costs, measured beside what others reach: `make bench`, or `python -m benchmarks --help`."""
