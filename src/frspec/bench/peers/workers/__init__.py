"""What runs inside another program's own environment: one worker a program, and what they share.

Plain Python 3.10 that imports nothing of frspec: here it is only files. A worker is a module with a ``load``; it is
started as ``python -m workers NAME`` in the folder above this one, and spoken to as ``protocol`` says.
"""
