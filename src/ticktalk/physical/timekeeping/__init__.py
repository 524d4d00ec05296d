"""Keeping time on a device: the root clock, the timekeeper role, its loop."""
