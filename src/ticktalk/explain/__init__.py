"""Why an output is what it is, why none came, and what would have been enough: in words, from facts."""
