"""`python -m scaling_lab …` is `scaling-lab …`; the study starts its runs this way, so that no PATH is needed."""

from scaling_lab.stopping import COMMAND


def main() -> None:
    """Runs the command line; it can be asked to stop before it has loaded anything that takes its time."""
    COMMAND.listen()
    from scaling_lab.commands.app import main as run

    run()


if __name__ == "__main__":
    main()
