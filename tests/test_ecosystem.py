"""What the sweep over other people's models writes down; the models themselves need packages that are not here."""

from __future__ import annotations

from tests.ecosystem.examined import Alarm, Row
from tests.ecosystem.page import explanations, page, unexplained

POOLER = Alarm("unused-layer", "suspicion", "never used", "bert.pooler", "modeling_bert.py:1", "")
LEAK = Alarm("batch-leak", "defect", "samples meet", "", "modeling_bert.py:2", "")
KNOWN = [{"check": "unused-layer", "models": ["*/masked/*"], "kind": "true", "why": "the pooler is for another head"}]


def test_an_alarm_is_told_with_its_explanation() -> None:
    rows = [
        Row("transformers/masked/bert", "examined", alarms=(POOLER,), whole=2.0),
        Row("timm/resnet/test_resnet", "examined", whole=1.0),
        Row("others/zuko/MAF", "not built", why="ImportError: no zuko"),
    ]
    text = page(rows, KNOWN)
    assert "**2 models: 0 (0.0 %) with a defect, 1 (50.0 %) with a suspicion.**" in text
    assert "| `transformers/masked/bert` | `unused-layer` (suspicion) | true | the pooler is for another head |" in text
    assert "- `others/zuko/MAF`: ImportError: no zuko" in text


def test_a_defect_must_be_explained() -> None:
    row = Row("transformers/masked/bert", "examined", alarms=(POOLER, LEAK))
    assert unexplained(row, KNOWN) == [LEAK]
    assert unexplained(row, [{**KNOWN[0], "check": "batch-leak"}]) == []
    assert "not yet explained" in page([row], KNOWN)


def test_a_row_survives_json() -> None:
    row = Row("a/b/c", "examined", alarms=(LEAK,), open=("one: why",), parameters=3, plain=1.0, whole=2.0)
    assert Row.from_dict(row.to_dict()) == row


def test_every_explanation_says_what_it_is() -> None:
    for entry in explanations():
        assert entry["kind"] in ("true", "bug of the library", "tolerable") and len(entry["why"]) > 30
