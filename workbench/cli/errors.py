"""Errors of commands."""

PROGRAM = "python -m workbench"


class CommandError(Exception):
    """Error of a command, printed in one line, with the exit status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(" ".join(text.split()))
        self.status = status
