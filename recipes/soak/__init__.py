"""The parts of ``serve_soak.py``: ``served`` is the server, ``wanted`` what is asked properly, ``faults`` what is done
to it, ``load`` how all that comes together, ``ending`` its last hour."""
