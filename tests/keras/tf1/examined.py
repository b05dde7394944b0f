"""Examines every training of the given files, and prints one JSON line for each.

A process of its own: programs for TensorFlow 1 turn eager execution off when they are imported, and that is for good.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
import warnings

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
warnings.simplefilter("ignore")  # nearly every name of that time is deprecated, and that is not the point


def main(files: list[str]) -> None:
    import tensorflow as tf

    import smokestep

    tf.get_logger().setLevel(logging.CRITICAL)
    for number, file in enumerate(files):
        spec = importlib.util.spec_from_file_location(f"tf1_{number}", file)
        assert spec is not None and spec.loader is not None
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, factory in list(vars(module).items()):
            if name in ("buggy", "fixed") or name.startswith("training_"):
                report = smokestep.examine(factory)
                found = [
                    {
                        "check": each.check,
                        "severity": str(each.severity and each.severity.value),
                        "line": each.cause.line if each.cause else 0,
                        "message": f"{each.message}; {each.hint}",
                    }
                    for each in report.findings
                ]
                verdicts = {check: outcome.verdict.value for check, outcome in report.checks.items()}
                failed = [outcome.reason for outcome in report.checks.values() if "failed" in outcome.reason]
                told = {"file": file, "name": name, "findings": found, "verdicts": verdicts}
                notes = [*report.notes, *failed, *([str(report.error)] if report.error else [])]
                print(json.dumps({**told, "notes": notes, "framework": report.versions["framework"]}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
