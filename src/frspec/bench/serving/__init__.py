"""OpenAI-compatible servers under load, side by side.

``client`` asks, ``answers`` reads what came, ``servers`` are who is asked, ``programs`` how they are started,
``figures`` what is made of the answers, ``run`` whose turn it is.
"""
