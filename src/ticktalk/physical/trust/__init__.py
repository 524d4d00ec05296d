"""Credentials: the names of ensembles, proved by certificates, and the signature under code."""
