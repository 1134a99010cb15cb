"""Every ending of a fit tells the user something."""

import json

import pytest

from jaxfit.statuses import Status


@pytest.mark.parametrize("status", Status)
def test_every_status_has_a_message_of_its_own(status):
    assert status.message
    assert status.message not in {other.message for other in Status if other is not status}


@pytest.mark.parametrize("status", [status for status in Status if not status.converged])
def test_what_did_not_converge_says_what_to_do(status):
    assert ": " in status.message


def test_only_the_first_two_have_converged():
    assert [status for status in Status if status.converged] == [Status.OK, Status.OK_AT_BOUND]


def test_a_status_is_a_number_in_arrays_and_files():
    assert json.loads(json.dumps(Status.STALLED)) == 3
    assert Status(3) is Status.STALLED
