"""The one error a user can cause.

Knows: nothing. A ``UserError`` carries one line that says what is wrong, why, and what to do; the
command line prints it without a traceback and exits with status 1. Anything else that escapes is a bug.
"""


class UserError(Exception):
    """A file, flag, checkpoint or request that cannot be honoured exactly."""
