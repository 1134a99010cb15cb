"""``jaxfit demo``."""

from __future__ import annotations

from pathlib import Path

import click

from jaxfit.cli.fits import poi_line
from jaxfit.cli.options import writable
from jaxfit.cli.runs import step, use_cache

__all__ = ["demo"]


@click.command(epilog="Example: jaxfit demo --output ttbar")
@click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), callback=writable, default="jaxfit-demo",
    show_default=True, metavar="DIR", help="Folder for all that is made.",
)  # fmt: skip
def demo(output: Path) -> int:
    """Measure a ttbar cross-section, from histograms to figures.

    Makes the histograms, builds a workspace of them with cabinetry, fits it and scans the parameter of interest.
    """
    use_cache(None)
    with step("imports for histograms and figures"):
        from jaxfit.examples.demo import run
    model, result, profile = run(output, step)
    click.echo(f"\n{result}\n\n{poi_line(model, result)}\n")
    click.echo(f"fit.json, scan.json, the workspace and figures/ are in {output}:")
    click.echo("\n".join(f"  {figure}" for figure in sorted(output.glob("figures/*.png"))))
    return 0 if result.converged and profile.converged else 1
