"""Regions: SQs of a device that cross to their worker as one piece."""
