"""``frspec serve``: the OpenAI API over an engine in a thread of its own, and a page that shows speculation at work."""
