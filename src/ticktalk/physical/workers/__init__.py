"""Worker processes, in which bodies run."""
