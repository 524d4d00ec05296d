"""The search for what a program stands in simulation, and for the least that changes its outputs. Sans-I/O."""
