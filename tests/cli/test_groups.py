"""The command by itself: its help, and how failures end."""

import shlex

import pytest
from cli.cases import run

import jaxfit
from jaxfit import cli


def test_no_arguments_show_the_help():
    done = run()
    assert done.exit_code == 0
    assert all(f"\n  {command} " in done.stdout for command in cli.main.commands)
    assert "..." not in done.stdout.partition("Commands:")[2]


@pytest.mark.parametrize("name", cli.main.commands)
def test_help_has_an_example_that_can_be_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(name, "--help")
    assert done.exit_code == 0
    assert f"Example: jaxfit {name}" in done.stdout
    command = cli.main.commands[name]
    arguments = shlex.split(command.epilog.removeprefix("Example: "))
    assert arguments[:2] == ["jaxfit", name]
    command.make_context(name, arguments[2:])  # raises for what is no argument of the command


def test_a_failure_to_write_is_one_line(here, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "fit.json")

    monkeypatch.setattr(jaxfit.FitResults, "save", full)
    done = run("fit", "ws.json", "--output", "fit.json")
    assert (done.exit_code, done.stderr) == (2, "jaxfit: error: fit.json: No space left on device\n")


def test_interrupt_ends_quietly(here, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(jaxfit, "fit", interrupt)
    done = run("fit", "ws.json")
    assert (done.exit_code, done.stdout, done.stderr.strip()) == (130, "", "")


def test_bad_input_of_a_process(here, process):
    done = process("fit", "absent.json", cwd=here)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "jaxfit: error: absent.json: cannot be read: No such file or directory\n"
