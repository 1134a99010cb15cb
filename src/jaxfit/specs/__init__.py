"""Specifications: what a schema lets through and no fit can use, and what is legal but worth telling.

A specification is the part of a workspace that makes a model, as ``pyhf.Model`` takes it and keeps it: ``channels`` of
samples with modifiers, and settings of ``parameters``.
"""

from jaxfit.specs.checks import check, counts
from jaxfit.specs.contents import KINDS, Contents, read, require_unique
from jaxfit.specs.findings import Findings, empty_bins, findings

__all__ = ["KINDS", "Contents", "Findings", "check", "counts", "empty_bins", "findings", "read", "require_unique"]
