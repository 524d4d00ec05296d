"""Credentials: who is who, and whose code runs."""
