"""``python -m workers NAME``: be the worker in the module of that name, which is imported when it is asked to load."""

import sys
from importlib import import_module

from .protocol import serve

serve(lambda told: import_module(f".{sys.argv[1]}", __package__).load(told))
