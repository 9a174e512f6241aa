"""Contradictions between settings: refused with the path, the value, the rule and the way out."""

from copy import deepcopy
from math import nan
from pkgutil import resolve_name
from typing import Any

import pytest

from rim.base.errors import SettingsError
from rim.settings import Config, Method, Stage, default_stages
from rim.settings.checks import OBJECTIVES, WITH_BLOCKS, problems, steps_taught
from rim.settings.schema import alternatives, choices, leaves, types_of

TWO = [Stage("a", "grounding"), Stage("b", "refinement")]

SHARDED = {"training__strategy": "sharded", "training__devices": 2, "training__tokens_per_pass": 16384}


def check(config: Config) -> None:
    """Refuse settings that cannot be used, as reading them does."""
    if found := [text for _, text in problems(config)]:
        raise SettingsError("\n".join(found))


def changed(**changes: Any) -> Config:
    """The defaults with `section__field=value` changed."""
    config = Config(stages=default_stages(changes.get("method__name", "memory_blocks")))
    for path, value in changes.items():
        *sections, name = path.split("__")
        node: Any = config
        for section in sections:
            node = getattr(node, section)
        setattr(node, name, deepcopy(value))
    return config


CASES: list[tuple[dict[str, Any], str]] = [
    (
        {"memory__insertion_layer": 1, "method__name": "direct"},
        "memory.insertion_layer = 1: belongs to methods memory",
    ),
    ({"memory__insertion_layer": 1, "method__name": "looped"}, "not to looped; leave it 0"),
    ({"memory__insertion_layer": 1, "method__distillation": 1.0}, "excludes method.distillation"),
    (
        {"memory__insertion_layer": 8, "backbone__source": "scratch"},
        "must be at most 7: backbone.scratch.layers = 8",
    ),
    (
        {"memory__placement": "sentence_ends", "method__name": "looped"},
        "belongs to methods memory_blocks and pause",
    ),
    (
        {"memory__placement": "before_question", "memory__readout_sees_question": False},
        "needs memory.readout_sees_question=true",
    ),
    ({"data__system": "Be brief."}, 'data.system = "Be brief.": belongs to data.template=chat; leave it empty'),
    (
        {"data__template": "chat", "backbone__source": "scratch"},
        'data.template = "chat": needs the chat template of a pretrained model, and scratch has none; set plain',
    ),
    (
        {"data__template": "chat", "method__name": "repeat"},
        'data.template = "chat": a chat has its question once, and method.name=repeat reads it again; set plain',
    ),
    (
        {"data__template": "chat", "memory__placement": "before_question"},
        "needs memory.placement=after_question, not before_question: blocks stand where the model begins to write",
    ),
    (
        {"memory__token_source": "reserved", "backbone__source": "scratch"},
        "belongs to backbone.source=pretrained: a vocabulary from scratch has none spare",
    ),
    ({"memory__tokens": "per_slot", "method__name": "cot"}, "cot has no blocks; leave it shared"),
    ({"evaluation__blocks": [4, 0]}, "evaluation.blocks = [4, 0]: lists numbers of blocks"),
    ({"evaluation__blocks": [4], "method__name": "direct"}, "direct reads no blocks; leave []"),
    (
        {"evaluation__blocks": [14], "memory__tokens": "per_slot_and_block"},
        "must be at most 13 with memory.tokens=per_slot_and_block: block 14 has no tokens of its own",
    ),
    ({"training__batch_size": 0}, "training.batch_size = 0: must be at least 1"),
    ({"training__batch_size": -8}, "training.batch_size = -8: must be at least 1"),
    ({"data__train_rows": 0}, "data.train_rows = 0: must be at least 1"),
    ({"data__workers": -1}, "data.workers = -1: must be at least 0"),
    ({**SHARDED, "training__devices": 1}, 'training.strategy = "sharded": needs several processes: raise training.dev'),
    ({**SHARDED, "training__tokens_per_pass": None}, "needs training.tokens_per_pass, such as 16384"),
    ({**SHARDED, "training__compile": True}, "excludes training.compile=true"),
    ({**SHARDED, "evaluation__decode": "compiled"}, "excludes evaluation.decode=compiled, which keeps the addresses"),
    ({**SHARDED, "method__name": "looped"}, "excludes method.name=looped: methods coconut, codi and looped read in as"),
    ({"training__clip": -1.0}, "training.clip = -1.0: must be 0 or more"),
    ({"method__name": "repeat", "method__repeats": 0}, "method.repeats = 0: must be at least 1"),
    (
        {"method__name": "repeat", "method__repeats": 1},
        "method.repeats = 1: must be at least 2: a question that is read once is method direct",
    ),
    ({"method__fade_floor": 1.5}, "method.fade_floor = 1.5: lies between 0 and 1: steps fade from 1 down to it"),
    ({"method__fade_floor": -0.1}, "method.fade_floor = -0.1: lies between 0 and 1: steps fade from 1 down to it"),
    ({"method__fade_floor": nan}, "lies between 0 and 1: steps fade from 1 down to it"),
    (
        {"method__fade_floor": 0.5, "method__fade": "none"},
        "method.fade_floor = 0.5: belongs to method.fade=relative or absolute: with none no step fades; set 0",
    ),
    (
        {"method__fade_floor": 0.5, "method__name": "cot"},
        "method.fade_floor = 0.5: acts in stages of objective grounding (methods memory_blocks and looped), and there "
        "is none; set 0",
    ),
    ({"method__refinement_steps": -0.5}, "method.refinement_steps = -0.5: must be 0 or more"),
    (
        {"method__refinement_steps": 0.5, "method__name": "pause"},
        "method.refinement_steps = 0.5: acts in stages of objective refinement (methods memory_blocks and looped), and "
        "there is none; set 0",
    ),
    ({"method__refinement_steps": 0.5, "stages": TWO[:1]}, "acts in stages of objective refinement"),
    ({"memory__blocks": 0}, "memory.blocks = 0: must be at least 1; a model without blocks is method.name=direct"),
    (
        {"training__batch_size": 3, "training__devices": 4},
        "training.batch_size = 3: must be at least nodes x devices = 4: every device needs an example",
    ),
    ({"training__tokens_per_line": 0}, "training.tokens_per_line = 0: must be at least 1"),
    ({"training__tokens_per_pass": 0}, "training.tokens_per_pass = 0: must be at least 1"),
    ({"run__seed": 2**64}, "run.seed = 18446744073709551616: must be below 2^64"),
    ({"backbone__scratch__spread": 0.0}, "backbone.scratch.spread = 0.0: must be above 0, such as 0.02; empty: 1 / sq"),
    ({"backbone__scratch__spread": nan}, "must be above 0, such as 0.02"),
    ({"backbone__scratch__heads": 5}, "backbone.scratch.heads = 5: must divide width = 64: 1, 2, 4, 8, 16, 32, 64"),
    (
        {"backbone__scratch__shape": "llama", "backbone__scratch__heads": 64},
        "backbone.scratch.heads = 64: gives heads of width 1, and llama's rotary positions need an even one",
    ),
    (
        {"backbone__scratch__shape": "llama", "backbone__scratch__key_value_heads": 3},
        "backbone.scratch.key_value_heads = 3: must divide heads = 4: 1, 2, 4",
    ),
    (
        {"backbone__scratch__key_value_heads": 2},
        "backbone.scratch.key_value_heads = 2: belongs to shapes llama and qwen, not to gpt2; leave it empty",
    ),
    (
        {"data__own__revision": "0a1b2c"},
        'data.own.revision = "0a1b2c": belongs to a table of the hub: set data.own.table=OWNER/NAME, or leave this out',
    ),
    (
        {"data__own__train": "rows.jsonl", "data__own__table_config": "main"},
        'data.own.table_config = "main": belongs to a table of the hub: set data.own.table=OWNER/NAME, or leave '
        "this out",
    ),
    (
        {"backbone__dtype": "bf16", "backbone__training": "full", "training__precision": "bf16"},
        'backbone.dtype = "bf16": rounds frozen weights, and with backbone.training=full none is frozen: small updates '
        "would be lost in the rounding. Set backbone.dtype=fp32; training.precision=bf16 makes the arithmetic bf16",
    ),
    (
        {"backbone__dtype": "bf16"},
        'backbone.dtype = "bf16": needs training.precision=bf16: arithmetic on such weights is bf16',
    ),
    (
        {"method__name": "codi", "training__checkpointing": "full"},
        'training.checkpointing = "full": excludes method.name=codi: methods coconut, codi and looped read in several '
        "passes through a cache of keys and values, which layers that are computed again would fill twice; set none",
    ),
    (
        {"method__name": "coconut", "training__compile": True},
        "training.compile = true: excludes method.name=coconut: methods coconut, codi and looped read in several "
        "passes through a cache that grows, each of a shape of its own; set false",
    ),
    (
        {"memory__insertion_layer": 2, "training__compile": True},
        "training.compile = true: excludes memory.insertion_layer=2: hooks give the layers other inputs in every pass, "
        "and each would be compiled anew; set false, or memory.insertion_layer=0",
    ),
    ({"backbone__lora__dropout": 1.0}, "backbone.lora.dropout = 1.0: a dropout is at least 0 and below 1"),
    ({"backbone__lora__alpha": 0}, "backbone.lora.alpha = 0: must be at least 1"),
    ({"backbone__lora__targets": []}, "backbone.lora.targets = []: must name a module, or be [all-linear]"),
    (
        {"backbone__attention": "flash_attention_2"},
        'backbone.attention = "flash_attention_2": must be sdpa or eager: others do not honour a four-dimensional mask',
    ),
    ({"backbone__attention": "spda"}, "did you mean 'sdpa'?"),
    ({"stages": [Stage("a", "grounding", dropout=-0.1)]}, "stages[0].dropout = -0.1: a dropout is at least 0"),
    ({"stages": [TWO[0], Stage("b", "refinement", learning_rate=0)]}, "stages[1].learning_rate = 0: must be above 0"),
    ({"stages": [Stage("a", "grounding"), Stage("a", "refinement")]}, 'stages[1].name = "a": stages[0] has this name'),
    ({"stages": [Stage("a/b", "grounding")]}, 'stages[0].name = "a/b": stands in file names'),
    (
        {"stages": [Stage("a", "chain")]},
        'stages[0].objective = "chain": method memory_blocks has grounding, refinement; chain belongs to method cot',
    ),
    (
        {"method__name": "direct", "stages": [TWO[1]]},
        'stages[0].objective = "refinement": method direct has answer; refinement belongs to method memory_blocks. '
        "stages=[] takes the method's own stages, in per cent of training.duration (now 8 epochs)",
    ),
    ({"stages": [Stage("a", "grounding", "5 weeks")]}, "'5 weeks' is not a duration: write '3200 steps', '400000 exam"),
    ({"stages": [Stage("a", "grounding", "0 steps")]}, 'stages[0].duration = "0 steps": must be longer than 0'),
    (
        {"training__duration": None, "stages": [Stage("a", "grounding", "50%")]},
        'stages[0].duration = "50%": is per cent of nothing: set training.duration, or write steps, examples or epochs',
    ),
    ({"stages": [Stage("a", "grounding", warmup="120%")]}, 'stages[0].warmup = "120%": must be at most 100%'),
    (
        {"data__own__answer_rule": "numbr"},
        'data.own.answer_rule = "numbr": must be one of integer, number, last_number, choice, yes_no, latex, sentence, '
        "letters, text; did you mean 'number'?",
    ),
    ({"training__duration": "50%"}, 'training.duration = "50%": is what per cent of stages refer to'),
    ({"training__validate_every": "often"}, "training.validate_every = \"often\": 'often' is not a duration"),
    ({"training__save_every": "0%"}, 'training.save_every = "0%": must be longer than 0'),
    ({"training__keep_every": "0 steps"}, 'training.keep_every = "0 steps": must be longer than 0'),
    (
        {"evaluation__decode": "graph", "training__accelerator": "cpu"},
        'evaluation.decode = "graph": needs a GPU of NVIDIA, not training.accelerator = cpu; use plain or compiled',
    ),
    ({"training__betas": [0.9]}, "training.betas = [0.9]: must be two numbers, each at least 0 and below 1"),
    ({"training__betas": [0.9, 1.0]}, "training.betas = [0.9, 1.0]: must be two numbers"),
    ({"evaluation__confidence": 1.0}, "evaluation.confidence = 1.0: lies between 0 and 1, such as 0.95"),
    (
        {"evaluation__controls": ["removed", "nose"]},
        'evaluation.controls[1] = "nose": must be one of removed, swapped, noise, mean, other_slot, '
        "values_only, keys_only, zero; did you mean 'noise'?",
    ),
    ({"data__tracking__people": 9}, "data.tracking.people = 9: must be 3 to 8"),
    ({"data__tracking__min_steps": 5}, "data.tracking.min_steps = 5: must not be above data.tracking.max_steps = 4"),
    (
        {"data__arithmetic__ood_steps": 4, "data__test": ["arithmetic/ood"]},
        "data.arithmetic.ood_steps = 4: must be above data.arithmetic.max_steps = 4 for arithmetic/ood",
    ),
    ({"data__train": "gsm8/train"}, "data.train = \"gsm8/train\": unknown task 'gsm8' (did you mean 'gsm8k'?)"),
    ({"data__train": "gsm8k"}, "data.train = \"gsm8k\": source 'gsm8k' names no split"),
    ({"data__test": ["tracking/test", "gsm8k/tst"]}, "data.test[1] = \"gsm8k/tst\": unknown split 'tst'"),
    (
        {"data__validation": "gsm8k/test"},
        'data.validation = "gsm8k/test": gsm8k/test is a test split, which neither trains nor chooses a checkpoint',
    ),
    (
        {"data__test": ["gsm8k/test", "gsm8k/test"]},
        'data.test = ["gsm8k/test", "gsm8k/test"]: \'gsm8k/test\' stands th',
    ),
    ({"run__name": "../else"}, 'run.name = "../else": names a folder'),
    ({"run__name": ""}, 'run.name = "": names a folder'),
]


@pytest.mark.parametrize(("changes", "message"), CASES)
def test_a_contradiction_is_a_lesson(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        check(changed(**changes))
    assert message in str(raised.value)
    assert str(raised.value).count("\n") == 0, "one cause, one line"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training__batch_size": 97, "training__devices": 2, "training__tokens_per_pass": 1},
        {"training__duration": "2 epochs", "stages": [Stage("a", "grounding", "50%"), Stage("b", "refinement", "50%")]},
        {"stages": [TWO[1], TWO[0], Stage("c", "refinement", warmup="0%")]},
        {"method__name": "cot"},
        {"method__name": "direct", "data__train": "gsm8k/train", "data__validation": "gsm8k/train"},
        {"data__tracking__ood_steps": 2},
        {"training__threads": None, "data__train_rows": None, "training__clip": 0.0, "run__name": "gsm8k/seed-1"},
    ],
)
def test_what_fits_together_passes(changes: dict[str, Any]) -> None:
    check(changed(**changes))


def test_all_contradictions_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        check(changed(memory__blocks=0, training__batch_size=0, evaluation__confidence=2.0))
    paths = [line.partition(" ")[0] for line in str(raised.value).splitlines()]
    assert paths == ["training.batch_size", "memory.blocks", "evaluation.confidence"]


def test_every_whole_number_but_seeds_and_workers_refuses_zero() -> None:
    whole = [path for path, kind in leaves() if int in alternatives(kind)]
    whole = [path for path in whole if not path.startswith("stages")]
    assert len(whole) > 30
    accepted = []
    for path in whole:
        try:
            check(changed(**{path.replace(".", "__"): 0}))
            accepted.append(path)
        except SettingsError as error:
            assert f"{path} = 0: must be" in str(error)
    assert sorted(accepted) == [
        *("data.arithmetic.seed", "data.gsm8k_renumbered.seed", "data.tracking.seed", "data.workers"),
        *("evaluation.probe_layer", "memory.insertion_layer", "method.latents", "run.seed"),
    ]


def test_names_known_at_start_are_those_of_the_heavy_modules() -> None:
    """The settings import nothing heavy, so they name the methods themselves."""
    from rim.methods.registry import METHODS

    assert [*OBJECTIVES] == [*METHODS]
    assert choices(types_of(Method)["name"]) == tuple(METHODS)
    assert {*choices(types_of(Stage)["objective"])} == {name for names in OBJECTIVES.values() for name in names}


def test_methods_that_read_blocks_are_known_as_such_at_start() -> None:
    from rim.methods.blocks import Blocks
    from rim.methods.registry import METHODS

    assert {*WITH_BLOCKS} == {name for name, path in METHODS.items() if issubclass(resolve_name(path), Blocks)}


@pytest.mark.parametrize("method", OBJECTIVES)
def test_the_default_stages_of_every_method_pass(method: str) -> None:
    check(changed(method__name=method))
    assert default_stages(method)
    assert {stage.dropout for stage in default_stages(method, "full")} == {None}


@pytest.mark.parametrize(
    ("changes", "taught"),
    [
        ({}, "stages[0].objective=grounding"),
        ({"stages": [Stage("b", "refinement")]}, None),
        ({"stages": [Stage("b", "refinement")], "method__parallel_steps": 0.05}, "method.parallel_steps=0.05"),
        ({"stages": [Stage("b", "refinement")], "method__distillation": 1.0}, "method.distillation=1"),
        ({"stages": [Stage("b", "refinement")], "method__refinement_steps": 0.3}, "method.refinement_steps=0.3"),
        ({"method__name": "looped"}, "stages[0].objective=grounding"),
        ({"method__name": "direct"}, None),
        ({"method__name": "pause"}, None),
        ({"method__name": "cot"}, "stages[0].objective=chain"),
        ({"method__name": "icot"}, "stages[0].objective=chain"),
        ({"method__name": "icot", "stages": [Stage("a", "removal")]}, "stages[0].objective=removal"),
        ({"method__name": "icot", "stages": [Stage("a", "answer")]}, None),
        ({"method__name": "coconut"}, "stages[0].objective=chain"),
        (
            {"method__name": "coconut", "stages": [Stage("a", "latent", replaced_steps=2), Stage("b", "latent")]},
            "stages[0].replaced_steps=2",
        ),
        ({"method__name": "pause_curriculum", "stages": [Stage("b", "latent")]}, None),
        ({"method__name": "codi"}, "stages[0].objective=distillation"),
    ],
)
def test_what_teaches_steps_is_named(changes: dict[str, Any], taught: str | None) -> None:
    assert steps_taught(changed(**changes)) == taught
