"""Settings that a method cannot use: refused by the command before any work, each with its rule and the way out."""

from pathlib import Path

import pytest

import rim.fit as fit

REFUSED = [
    (
        ("method.name=codi", "method.latents=0"),
        "method.latents = 0: must be at least 1: codi projects states into latents; without latents it is method "
        "direct",
    ),
    (
        ("method.name=coconut", "method.parallel_steps=0.05"),
        "method.parallel_steps = 0.05: reads steps off memory blocks, and method coconut grounds none in steps; set 0",
    ),
    (
        ("method.name=looped", "method.distillation=1"),
        "method.distillation = 1.0: belongs to methods memory_blocks and codi, not to looped; leave it empty",
    ),
    (("method.name=codi", "method.distillation=-1"), "method.distillation = -1.0: must be 0 or more"),
    (("method.parallel_steps=-0.05",), "method.parallel_steps = -0.05: must be 0 or more"),
    (
        ("method.name=coconut", "stages.0.replaced_steps=1"),
        "stages[0].replaced_steps = 1: belongs to objective latent, not to chain; leave it empty",
    ),
    (
        ("method.name=pause_curriculum", "stages.4.replaced_steps=3"),
        "stages[4].replaced_steps = 3: must be empty in the last stage: all steps are replaced",
    ),
    (
        ("method.name=coconut", "stages=[{name: a, objective: chain, duration: 1 step}]"),
        'stages[0].objective = "chain": method coconut ends in objective latent',
    ),
    (
        ("method.name=icot", "stages.2.objective=removal"),
        'stages[2].objective = "removal": method icot ends in objective answer',
    ),
    (
        ("method.name=pause", "stages.0.objective=refinement"),
        'stages[0].objective = "refinement": method pause has answer; refinement belongs to method memory_blocks. '
        "stages=[] takes the method's own stages, in per cent of training.duration (now 8 epochs)",
    ),
]


@pytest.mark.parametrize(("overrides", "rule"), REFUSED)
def test_settings_that_a_method_cannot_use_are_refused_before_any_work(
    overrides: tuple[str, ...], rule: str, in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        fit.main([*overrides])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and error.endswith(f": {rule}\n"), error
    assert list(in_folder.iterdir()) == []
