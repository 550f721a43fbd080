"""The command line. Nothing slow is imported before a command needs it."""


def main() -> None:
    """The program `headrace`."""
    from headrace.cli.root import run

    run()
