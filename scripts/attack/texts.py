"""Texts that users write: metadata of models, YAML of parameters and files, and values of parameters."""

import dataclasses
import json
import random
from pathlib import Path

import yaml
from hypothesis import strategies as st
from mutation import mutate_bytes, mutate_value
from target import EXAMPLES, Target, examples, mutations, temporary_folder

from emotion_ros.config import DetectorConfig, PipelineConfig
from emotion_ros.config.options import build, options
from emotion_ros.config.package_files import default_gestures
from emotion_ros.errors import ConfigError, ModelError
from emotion_ros.perception.emotion.label_map import LabelMap, read_mapping, read_prior
from emotion_ros.perception.emotion.metadata import COLORS, REGIONS, ModelMetadata
from emotion_ros.perception.gesture_rules import FINGERS, RULE_KEYS, read_gestures

CLASSES = ("angry", "happy", "neutral")
CONFIGS = (DetectorConfig, PipelineConfig)
FOLDER = temporary_folder()

NUMBERS = st.one_of(
    st.integers(-10, 2000), st.integers(), st.floats(), st.sampled_from([1e9, -1e9, 10**400, 2**31, 2**63, 0.5])
)
WORDS = st.one_of(st.sampled_from([*CLASSES, "fist", "unknown", "face"]), st.text(max_size=80))
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS)
VALUES = st.recursive(
    LEAVES,
    lambda children: st.one_of(st.lists(children, max_size=5), st.dictionaries(WORDS, children, max_size=5)),
    max_leaves=20,
)
"""Any value of JSON or YAML."""

SCALARS = (None, True, 0, -1, 0.5, 1e9, 10**400, float("nan"), float("inf"), "", "happy", "x" * 5000, [], {})

BOMBS = (
    "{a: 2024-99-99}",
    "[" * 5000,
    "{a: " * 3000,
    "!!int x",
    "!!python/object/apply:os.abort []",
    "!!binary '*'",
    "? " * 2000,
    "{a: " + "9" * 10_000 + "}",
    '{"\\ud800": [happy]}',
    "&a [*a]",
    "a: &a [x, x, x]\n"
    + "".join(f"b{n}: &b{n} [*{'a' if n == 0 else f'b{n - 1}'}" + ", *a" * 9 + "]\n" for n in range(30)),
    "<<: [" + "{a: 1}, " * 2000 + "]",
    "\0",
    "%YAML 9.9\n---\na: 1",
    "- " * 8000,
    "a" * 1_000_000,
)
"""Texts of the kinds that take a YAML reader's stack, time or memory, or that it converts without a check."""


def values(strategy, originals, number):
    """Yield originals, values of a strategy, and changes of both without end, for a seed."""
    pool = [*examples(VALUES, number), *SCALARS]
    yield from mutations(
        lambda value, random: mutate_value(value, random, pool), [*originals, *examples(strategy, number)], number
    )


def metadata(number):
    """Yield texts of metadata: of any values, and valid ones with some fields replaced."""
    valid = {
        "labels": st.lists(WORDS, max_size=4),
        "region": st.sampled_from([*REGIONS, "hand"]),
        "size": NUMBERS,
        "color": st.sampled_from([*COLORS, "hsv"]),
        "mean": st.lists(NUMBERS, max_size=4),
        "std": st.lists(NUMBERS, max_size=4),
        "prior": st.dictionaries(WORDS, NUMBERS, max_size=3),
        "activated": st.booleans(),
        **dict.fromkeys(("margin", "shift", "temperature"), NUMBERS),
    }
    plain = dataclasses.asdict(ModelMetadata(CLASSES))
    fields = st.fixed_dictionaries({}, optional={**dict.fromkeys((*plain, "other"), VALUES), **valid})
    yield from ("null", "[]", "1e999", "[" * 100_000, '{"labels": [1, 2]}', '{"labels": {"a": 1}}', "9" * 10_000)
    fitting = st.fixed_dictionaries({}, optional=valid)
    strategy = st.one_of(fields, st.one_of(fields, fitting).map(lambda some: {**plain, **some}))
    originals = [json.loads(json.dumps(plain))] * EXAMPLES  # half of the changes are of one field that is valid
    yield from map(json.dumps, values(strategy, originals, number))


def yaml_texts(number):
    """Yield a reader and its text: of any values, bombs, and changes of the package's own gestures."""
    gestures = default_gestures().read_text()
    rule = st.dictionaries(
        st.sampled_from(RULE_KEYS), st.one_of(VALUES, st.dictionaries(st.sampled_from([*FINGERS]), VALUES)), max_size=4
    )
    names = st.dictionaries(WORDS, st.one_of(WORDS, NUMBERS, st.lists(WORDS, max_size=3), rule), max_size=4)
    characters = st.text(alphabet="{}[]:,-&*!|>%@`'\"\\ \n\tab01", max_size=200)
    for text in (*BOMBS, *examples(characters, number)):
        yield from ((reader, text) for reader in READERS)
    mutated = mutations(mutate_bytes, [gestures.encode()], number)
    for value in values(names, [yaml.safe_load(gestures)], number):
        yield from ((reader, json.dumps(value)) for reader in READERS)  # JSON is YAML
        yield "gestures", next(mutated).decode(errors="replace")


def _read_gestures(text):
    path = FOLDER / "gestures.yaml"
    path.write_text(text, errors="surrogatepass")
    return read_gestures(path)


READERS = {
    "label_map": lambda text: LabelMap(text, CLASSES),
    "prior": read_prior,
    "gesture_emotions": lambda text: read_mapping("gesture_emotions", text),
    "gestures": _read_gestures,
}


def parameters(number):
    """Yield a config and values for some of its options: of the right type, at its limits, or of any type."""
    for config in CONFIGS:
        yield config, {each.name: each.default for each in options(config)}
    generator = random.Random(number)
    anything = [*examples(st.one_of(LEAVES, st.lists(LEAVES, max_size=3)), number), "x" * 100_000]
    fitting = {each: examples(value_of(each), number, 20) for config in CONFIGS for each in options(config)}
    while True:
        config = generator.choice(CONFIGS)
        chosen = generator.sample(list(options(config)), generator.choice((1, 1, 2, 5)))
        yield config, {each.name: generator.choice(generator.choice((anything, fitting[each]))) for each in chosen}


def value_of(option):
    """Return a strategy for values of an option's type, inside and outside of its limits."""
    if option.type is tuple:
        return st.lists(WORDS, max_size=3)
    if option.type is str:
        return st.one_of(
            st.sampled_from([*option.choices, ""]), WORDS, st.sampled_from(["/dev/zero", "/", "x" * 5000, *BOMBS])
        )
    if option.type is bool:
        return st.booleans()
    near = [limit for limit in (option.minimum, option.maximum) if limit is not None]
    numbers = [option.type(limit + step) for limit in near for step in (-1, 0, 1)]
    return st.one_of(st.sampled_from([*numbers, option.type(0)]), st.integers() if option.type is int else st.floats())


TARGETS = {
    "check model metadata": Target(
        metadata, lambda text: ModelMetadata.from_json(text, Path("model.onnx")), (ModelError,), 10_000, 1.0, 100
    ),
    "read YAML of parameters and files": Target(
        yaml_texts, lambda value: READERS[value[0]](value[1]), (ConfigError,), 6_000, 1.0, 100
    ),
    "check parameters": Target(parameters, lambda value: build(*value), (ConfigError,), 8_000, 0.5, 50),
}
