"""What is run, every suspicion that is right to stay, and what was measured: the tables beside the runner."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

MEASURED = Path(__file__).parent / "scripts" / "results.json"


@dataclass(frozen=True, slots=True)
class Run:
    """One script with its arguments."""

    script: str
    arguments: str = ""
    launcher: str = ""

    @property
    def name(self) -> str:
        """How the table calls it."""
        return f"{self.launcher} {self.script} {self.arguments}".strip()


RUNS = (
    Run("mnist_cnn"),
    Run("word_language_model", "--model LSTM --tied"),
    Run("word_language_model", "--model Transformer --lr 5"),
    Run("dcgan"),
    Run("vae"),
    Run("siamese"),
    Run("super_resolution"),
    Run("time_sequence"),
    Run("reinforce"),
    Run("actor_critic"),
    Run("lightning_classifier"),
    Run("lightning_classifier", "--precision bf16-mixed --accumulate 2"),
    Run("lightning_gan"),
    Run("transformers_classify"),
    Run("transformers_classify", "--bf16 --accumulate 2"),
    Run("transformers_clm"),
    Run("accelerate_digits"),
    Run("accelerate_digits", "--mixed_precision bf16 --gradient_accumulation_steps 1"),
    Run("ignite_digits"),
    Run("skorch_digits"),
    Run("sb3_ppo"),
    Run("sb3_off_policy", "--algo sac"),
    Run("sb3_off_policy", "--algo td3"),
    Run("sb3_off_policy", "--algo dqn"),
    Run("timm_train"),
    Run("timm_train", "--model vit_tiny_patch16_224 --mixup 0.2 --model-ema --amp --clip-grad 1.0 --drop-path 0.1"),
    Run("timm_train", "--model mobilenetv3_small_050 --opt lamb --model-ema"),
    Run("peft_lora"),
    Run("peft_lora", "--gradient-checkpointing"),
    Run("smp_segmentation"),
    Run("smp_segmentation", "--arch deeplabv3plus --encoder timm-mobilenetv3_small_075"),
    Run("pyg_karate"),
    Run("pyg_karate", "--conv gat"),
    Run("ddp_digits"),
    Run("ddp_digits", "--accumulate 2", "torchrun"),
    Run("nanogpt"),
    Run("nanogpt", "--dtype bfloat16 --no-flash --compile --gradient_accumulation_steps 1"),
    Run("ddpm"),
    Run("detection"),
    Run("glue_no_trainer", "--gradient_accumulation_steps 2"),
    Run("diffusers_unconditional"),
    Run("diffusers_unconditional", "--prediction_type sample"),
    Run("seq2seq_attention"),
    Run("neural_style"),
    Run("ppo_single_file"),
    Run("simclr_ema"),
    Run("simclr_ema", "--method byol"),
    Run("simclr_ema", "--method probe"),
    Run("tabular_config"),
    Run("ctc_captcha"),
)

# run's name (or script's) -> check -> why the suspicion is right, or at least fair to raise
EXPLAINED: dict[str, dict[str, str]] = {}


def explanation(name: str, check: str) -> str:
    """What the table says about a suspicion."""
    run = next(each for each in RUNS if each.name == name)
    return EXPLAINED.get(name, {}).get(check, "") or EXPLAINED.get(run.script, {}).get(check, "")


@dataclass(slots=True)
class Result:
    """What came of one run; `plain` is what the script alone takes until it has stepped as often, if measured."""

    name: str
    code: int
    seconds: float
    steps: int | None
    findings: Sequence[Mapping[str, str]] = ()
    opened: Sequence[str] | None = ()
    left: Sequence[str] = ()
    plain: float | None = None

    def found(self, severity: str) -> list[Mapping[str, str]]:
        """The findings of one severity."""
        return [each for each in self.findings if each["severity"] == severity]

    @property
    def bad(self) -> str:
        """What is wrong with it, or nothing."""
        if self.code != 0:
            return f"exit code {self.code}"
        unexplained = [each["check"] for each in self.found("suspicion") if not explanation(self.name, each["check"])]
        return f"unexplained: {', '.join(unexplained)}" if unexplained else ""


def measured() -> list[Result]:
    """What was measured, in the order of the table."""
    kept = json.loads(MEASURED.read_text()) if MEASURED.exists() and MEASURED.stat().st_size else {}
    return [Result(**kept[each.name]) for each in RUNS if each.name in kept]


def keep(result: Result) -> None:
    """Add a result to what was measured; two runners may do so at a time."""
    with MEASURED.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = {each.name: each for each in measured()}
        if result.plain is None and result.name in before:
            result.plain = before[result.name].plain
        before[result.name] = result
        text = json.dumps({name: asdict(before[name]) for name in sorted(before)}, indent=1)
        MEASURED.write_text(text + "\n")
