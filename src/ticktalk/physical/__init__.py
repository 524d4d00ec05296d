"""The physical driver: OS processes, Zenoh, real time, over the very same rules.

On each ensemble one thread keeps time (`loop`): it runs the rules, and nothing in it blocks. Bodies run in worker
processes (`workers`, `worker`), a sender thread publishes (`link`), Zenoh's threads only put what came into the
loop's inbox. State lives with the thread that keeps time; everything else is told by message.
"""
