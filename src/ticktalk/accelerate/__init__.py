"""The accelerator: settled parts of a graph run in one piece. Without it everything runs, slower."""
