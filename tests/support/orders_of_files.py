"""A configuration as another author would have written it: mappings and sets in another order, nothing else."""

import json
from typing import TypeVar

import numpy as np
from pydantic import BaseModel

from schemas.models.config import RunConfig
from schemas.models.config_base import ListOrder

ItemT = TypeVar("ItemT")


def another_order(config: RunConfig, seed: int) -> RunConfig:
    """The same configuration with the keys of every mapping and block and the items of every set shuffled."""
    written = _shuffled(config, np.random.default_rng(seed), is_set=False)
    return RunConfig.model_validate_json(json.dumps(written))


def reversed_order(config: RunConfig) -> RunConfig:
    """The same configuration with every mapping, block and set the other way round."""
    return RunConfig.model_validate_json(json.dumps(_shuffled(config, None, is_set=False)))


def _shuffled(value: object, random: np.random.Generator | None, *, is_set: bool) -> object:
    """What JSON says of a value, shuffled; reversed without a generator."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        marked = {name: ListOrder.SET in fields[name].metadata for name in value.model_fields_set}
        return dict(_mixed([(n, _shuffled(getattr(value, n), random, is_set=s)) for n, s in marked.items()], random))
    if isinstance(value, dict):
        return dict(_mixed([(key, _shuffled(item, random, is_set=False)) for key, item in value.items()], random))
    if isinstance(value, tuple):
        items = [_shuffled(item, random, is_set=False) for item in value]
        return _mixed(items, random) if is_set else items
    return value


def _mixed(items: list[ItemT], random: np.random.Generator | None) -> list[ItemT]:
    return items[::-1] if random is None else [items[place] for place in random.permutation(len(items))]
