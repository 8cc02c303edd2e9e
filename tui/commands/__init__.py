"""The commands of the command line: one module for each, imported when it is called."""
