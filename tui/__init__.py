"""Everything that a terminal shows: the command line and the explorer. No torch here, ever."""
