"""Explanations of an output, or of a missing one, and of changes that would have been enough: in words, from facts."""
