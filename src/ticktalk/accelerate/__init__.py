"""The accelerator: settled parts of a graph run as generated code. Without it everything runs, slower."""
