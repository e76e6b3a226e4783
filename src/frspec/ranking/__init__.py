"""Floor 2: how often each token of a vocabulary occurs."""
