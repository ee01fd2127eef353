"""Jobs: one file each, each a function that the command line calls."""
