"""``python -m pipelines`` is ``firstlisten``."""

from pipelines.cli import main

main()
