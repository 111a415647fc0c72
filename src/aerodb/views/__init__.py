"""What the command line and the pages both show, computed once: from values to values. Pure: no I/O, no clock."""
