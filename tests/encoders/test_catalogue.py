"""Short names of encoders."""

import re

import pytest

from vaplan.encoders import catalogue, folders, hub
from vaplan.encoders.catalogue import CATALOGUE, Entry


@pytest.mark.parametrize(("name", "entry"), CATALOGUE.items())
def test_every_name_has_a_kind_and_a_valid_pin(name: str, entry: Entry) -> None:
    kind, _, short = name.partition(":")
    assert kind in hub.KINDS
    assert re.fullmatch(r"[a-z0-9]+", short)
    assert re.fullmatch(folders.HUB_ID, entry.source)
    assert re.fullmatch(r"([0-9a-f]{40})?", entry.commit)
    assert re.fullmatch(r"([0-9a-f]{64})?", entry.sha256)
    assert entry.purpose


def test_a_short_name_belongs_to_its_kind() -> None:
    assert catalogue.hub_source("clap:base") == "laion/clap-htsat-unfused"
    assert catalogue.hub_source("clap:laion") == "laion"
    assert catalogue.hub_source("clip:base").startswith("openai/")
