"""Fixtures of the tests of the command line."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from cli.cases import specification, write

import jaxfit


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    """Within the process of the tests nothing is kept, and what the command sets globally is set back."""
    names = [name for name in jax.config.values if name.startswith(("jax_compilation_cache", "jax_persistent_cache"))]
    before = {name: jax.config.values[name] for name in names}
    monkeypatch.setenv("JAXFIT_CACHE_DIR", "")
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("ws.json", specification())
    return tmp_path


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """Of whole processes: the tested package, and one cache of compiled programs for all of them."""
    source = Path(jaxfit.__file__).parents[1]
    path = os.pathsep.join([str(source), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "JAXFIT_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="session")
def process(environment):
    """Run a command as a process of its own."""

    def start(*arguments, **options):
        command = [sys.executable, "-m", "jaxfit.cli", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, **options)

    return start
