"""The physical driver: OS processes, a network, real time, over the very same rules.

On each ensemble the timekeeper (`timekeeping/`) runs the rules and owns the state; nothing in it blocks. Bodies run in
worker processes (`workers/`). Threads of the network (`network/`) hand arrivals to the timekeeper. Long values lie
in memory that processes of a host share (`memory/`). Keys and certificates are in `trust/`.
"""
