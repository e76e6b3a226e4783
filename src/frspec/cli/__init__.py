"""Floor 7: the command line, one module per verb."""
