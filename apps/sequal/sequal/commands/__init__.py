"""What the commands of `cli.py` do, one module a command; `cli.py` reads the options and calls them.

Nothing is imported here: each command is imported by itself when it is called, so that `status` does not wait for
the networks of `score`.
"""

__all__: list[str] = []
