"""Windows on top of the explorer."""
