"""What runs on request, over the whole zoo: minutes, so that it is no part of `make test` (see `make zoo-requested`).

No defect, and no suspicion but those declared here with the reason why they are tolerable.
"""

from __future__ import annotations

import pytest
import torch

import smokestep
from smokestep.checks import load

from .registry import Entry, entries

REQUESTED = [each.name for each in load() if each.on_request]
TOLERABLE: dict[tuple[str, str], str] = {
    (
        "supervised_contrastive_with_two_views",
        "hasty-updates",
    ): "true; of normalised features only the direction counts",
}


@pytest.mark.parametrize("entry", [pytest.param(each, id=each.name) for each in entries()])
@pytest.mark.filterwarnings("ignore")
def test_healthy_training_stays_silent_on_request(entry: Entry) -> None:
    torch.set_num_threads(1)
    report = smokestep.examine(entry.build, steps=entry.steps, select=REQUESTED)

    assert report.error is None
    assert [str(each) for each in report.defects] == []
    assert [str(each) for each in report.suspicions if (entry.name, each.check) not in TOLERABLE] == []
