"""Floor 4: how to draft and how to accept."""
