"""Floor 6: the life of a training run. Knows nothing of terminals."""
