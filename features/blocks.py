"""Blocks: what a study measures, or does not measure, together.

A laboratory has a CPM protocol or it has none; a questionnaire is in the booklet or it is not.
A block is the unit in which data are absent, and in which absence is reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from features.reference import load_reference
from features.spec import FeatureSpec


def block_of(spec: FeatureSpec) -> str:
    """Name the block of a feature: its own, its instrument's, or its family.

    Examples
    --------
    >>> block_of(FeatureSpec("tsk17_total", "psychosocial", "points", ("tsk17_total",), "total"))
    'tsk17'
    """
    if spec.block:
        return spec.block
    if spec.family != "psychosocial":
        return spec.family
    instruments = load_reference("instruments.toml")
    fitting = [name for name in instruments if spec.name.startswith(f"{name}_")]
    # A score that comes as one number (hads_anxiety) belongs with its fellows (hads).
    return max(fitting, key=len) if fitting else spec.name.split("_")[0]


def with_block(spec: FeatureSpec) -> FeatureSpec:
    """Return the specification with its block written down."""
    return replace(spec, block=block_of(spec))


def group_by_block(specs: Iterable[FeatureSpec]) -> dict[str, tuple[str, ...]]:
    """Return the features of every block, in order of first appearance."""
    blocks: dict[str, tuple[str, ...]] = {}
    for spec in specs:
        blocks[spec.block] = (*blocks.get(spec.block, ()), spec.name)
    return blocks
