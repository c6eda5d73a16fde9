"""What a command says when it cannot do what it was asked."""

PROGRAM = "python -m workbench"


class CommandError(Exception):
    """One line for the person who typed the command."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(" ".join(text.split()))
        self.status = status
