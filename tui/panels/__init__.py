"""The three parts of the explorer."""
