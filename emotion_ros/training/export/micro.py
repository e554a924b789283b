"""TensorFlow Lite Micro: the needs of a .tflite file on a microcontroller, and its C source."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from emotion_ros.errors import ModelError, OutputError
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.training.export.tflite import MISSING_LIBRARIES


@dataclass(frozen=True)
class Requirements:
    """Needs of a model on a microcontroller.

    Attributes:
        flash: bytes of the model.
        arena: bytes of working memory.
        operators: TensorFlow Lite Micro's names of its operators.
    """

    flash: int
    arena: int
    operators: tuple[str, ...]


def requirements(model: Path) -> Requirements:
    """Return the needs of a .tflite file; the arena's size is that of TensorFlow Lite Micro's own allocator.

    Raises:
        ModelError: tflite-micro is not installed, or cannot run the file.
    """
    program = (
        "import sys; from tflite_micro import runtime as r; "
        "r.Interpreter.from_bytes(open(sys.argv[1], 'rb').read(), arena_size=2**26).print_allocations()"
    )
    run = subprocess.run([sys.executable, "-c", program, model], capture_output=True, text=True, check=False)
    total = re.search(r"Arena allocation total (\d+) bytes", run.stdout + run.stderr)
    if run.returncode or not total:
        reason = (run.stderr.strip() or "no answer").splitlines()[-1]
        raise ModelError(f"{model}: TensorFlow Lite Micro cannot run it ({reason}). {MISSING_LIBRARIES}")
    content = model.read_bytes()
    return Requirements(len(content), int(total[1]), tuple(sorted(_operators(content))))


def _operators(content: bytes) -> set[str]:
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    codes = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content)).operatorCodes
    operators = (names[code.builtinCode].split("_") for code in codes)
    return {"".join(word.capitalize() for word in words).replace("2d", "2D") for words in operators}


def write_c(model: Path, output: Path) -> Requirements:
    """Write a .tflite file as C: ``output`` with the bytes, and a header of the same name with its use.

    Raises:
        ModelError: the model cannot be used.
        OutputError: a file cannot be written.
    """
    metadata, needed, content = EmotionClassifier(model).metadata, requirements(model), model.read_bytes()
    header, stem = output.with_suffix(".h"), _identifier(output.stem)
    rows = [", ".join(f"0x{byte:02x}" for byte in content[start : start + 16]) for start in range(0, len(content), 16)]
    labels = ", ".join(json.dumps(label, ensure_ascii=False) for label in metadata.labels)
    guard, operators = f"{stem.upper()}_H", "\n".join(f"//   resolver.Add{name}();" for name in needed.operators)
    declarations = f"""\
// {output.stem}: {", ".join(metadata.labels)}
// Written by emotion-ros export. Data: {metadata.data or "unknown"}. Licence: {metadata.licence or "unknown"}.
//
// Input: int8, 1 x {metadata.size} x {metadata.size} x {metadata.channels}, {metadata.color}, pixel - 128.
// Output: int8, 1 x {len(metadata.labels)}, in the order of the labels; probability = (value + 128) / 256.
// TensorFlow Lite Micro needs these operators:
//   tflite::MicroMutableOpResolver<{len(needed.operators)}> resolver;
{operators}
#ifndef {guard}
#define {guard}

#define {stem.upper()}_ARENA_BYTES {needed.arena}
#define {stem.upper()}_SIDE {metadata.size}
#define {stem.upper()}_CHANNELS {metadata.channels}
#define {stem.upper()}_LABELS {len(metadata.labels)}

#ifdef __cplusplus
extern "C" {{
#endif
extern const unsigned char {stem}[];
extern const unsigned int {stem}_bytes;
extern const char* const {stem}_labels[{stem.upper()}_LABELS];
#ifdef __cplusplus
}}
#endif
#endif
"""
    source = f"""\
#include "{header.name}"

const char* const {stem}_labels[{stem.upper()}_LABELS] = {{{labels}}};
const unsigned int {stem}_bytes = {len(content)};
__attribute__((aligned(16))) const unsigned char {stem}[] = {{
{("," + chr(10)).join(rows)}
}};
"""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        header.write_text(declarations)
        output.write_text(source)
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error.strerror}") from error
    return needed


def _identifier(name: str) -> str:
    """Return a name in C: other characters become underscores, and it begins with a letter or an underscore."""
    return re.sub(r"\W|^(?=\d)", "_", name, flags=re.ASCII)
