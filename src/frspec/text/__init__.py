"""Floor 1: characters, bytes, token ids and files of text."""
