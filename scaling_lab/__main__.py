"""`python -m scaling_lab …` is `scaling-lab …`; the study starts its runs this way, so that no PATH is needed."""

from scaling_lab.commands.app import main

main()
