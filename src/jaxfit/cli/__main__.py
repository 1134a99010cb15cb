"""``python -m jaxfit.cli``."""

from jaxfit.cli import main

main()
