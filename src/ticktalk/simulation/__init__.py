"""The simulation driver: SimPy, one thread, any number of ensembles, deterministic."""
