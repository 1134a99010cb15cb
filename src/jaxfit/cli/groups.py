"""The command ``jaxfit`` itself: what all its commands do before they begin, and how they exit."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import Any, NoReturn

import click

import jaxfit

__all__ = ["main"]


class _Group(click.Group):
    """Commands that return 0 or 1 for their result, and exit with 2 and one line for a mistake in their input."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", jaxfit.FitWarning)  # results print it
                sys.exit(super().main(*args, **{**extra, "standalone_mode": False}))
        except click.ClickException as error:
            _fail(error.format_message())
        except jaxfit.FitError as error:
            _fail(str(error), 1)
        except jaxfit.JaxfitError as error:
            _fail(str(error))
        except OSError as error:
            _fail(f"{error.filename or 'files'}: {error.strerror or error}")
        except (click.Abort, KeyboardInterrupt):
            sys.exit(130)


def _fail(message: str, code: int = 2) -> NoReturn:
    click.echo(f"jaxfit: error: {' '.join(message.split())}", err=True)
    sys.exit(code)


@click.group(
    cls=_Group, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExample:\n  jaxfit demo\n  jaxfit fit jaxfit-demo/workspace.json --figures figures",
)  # fmt: skip
@click.version_option(package_name="jaxfit-histfactory", prog_name="jaxfit")
@click.pass_context
def main(context: click.Context, /) -> None:
    """Fit pyhf and HistFactory models on JAX.

    Exit code 0: converged. 1: not converged. 2: bad input, and one line says what and where. 130: interrupted; the toys
    that were done are in the result.
    """
    os.environ.setdefault("MPLBACKEND", "agg")  # for machines without a display
    logging.getLogger("cabinetry").setLevel(logging.ERROR)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
