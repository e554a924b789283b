"""For microcontrollers: int8 TFLite, checked with LiteRT and measured in TensorFlow Lite Micro.

Google's litert-torch converts and its ai-edge-quantizer quantizes. Input and output are int8: a pixel goes in as
pixel − 128, a probability p comes out as 256 · p − 128. Normalisation and softmax are inside.
"""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
import tempfile
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emotion_ros.errors import ModelError, OutputError
from emotion_ros.inference.ort_session import METADATA_KEY
from emotion_ros.perception.emotion.classifier import EmotionClassifier
from emotion_ros.perception.emotion.metadata import ModelMetadata
from emotion_ros.training.data.datasets import Samples
from emotion_ros.training.export.classifier_export import Exported

CALIBRATION = 500
"""Training pictures, spread evenly, that show the range of each layer's values."""

AGREEMENT = 0.85
"""Share of the calibration pictures on which the int8 file must choose as the network does; less is a broken file, not
the price of eight bits."""

MISSING = "TFLite needs more libraries: pip install 'emotion_ros[tinyml]'"


class _Whole(nn.Module):
    """Pixels of 0…1, 1 × size × size × channels, to probabilities."""

    def __init__(self, network: Exported, contract: ModelMetadata) -> None:
        super().__init__()
        self.network, self.temperature = network, contract.temperature
        self.mean, self.std = torch.tensor(contract.mean), torch.tensor(contract.std)

    def forward(self, pixels: Tensor) -> Tensor:
        logits = self.network(((pixels - self.mean) / self.std).permute(0, 3, 1, 2))
        first = logits[0] if isinstance(logits, tuple) else logits
        return torch.softmax(first / self.temperature, 1)


def write_tflite(network: Exported, contract: ModelMetadata, samples: Samples, output: Path) -> ModelMetadata:
    """Write an int8 model.

    Args:
        network: see :func:`emotion_ros.training.export.classifier_export.prepare`.
        contract: the network's.
        samples: pictures that the network was trained on.
        output: the .tflite file.

    Returns:
        The contract as written: the file takes pixels of 0…1 and puts out probabilities.

    Raises:
        ModelError: a library is missing, or the int8 model decides otherwise than the network too often.
        OutputError: the file cannot be written.
    """
    plain = (0.0,) * contract.channels, (1.0,) * contract.channels
    written = replace(
        contract, mean=plain[0], std=plain[1], activated=True, temperature=1.0, outputs=contract.outputs[:1]
    )
    chosen = np.unique(np.linspace(0, len(samples) - 1, CALIBRATION).astype(int))
    pixels = np.ascontiguousarray(samples.pixels[chosen].transpose(0, 2, 3, 1))
    model = _Whole(network, contract).eval()
    content = _with_metadata(_quantized(model, pixels), written.to_json())
    partial = output.with_name(f".{output.stem}.partial.tflite")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        _compare(model, EmotionClassifier(partial), pixels, contract)
        os.replace(partial, output)
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    return written


def _quantized(model: nn.Module, pixels: NDArray[np.uint8]) -> bytes:
    """The model in int8, whose input spans all pixel values whatever the pictures show."""
    try:
        import litert_torch
        from ai_edge_quantizer import quantizer, recipe
    except ImportError as error:
        raise ModelError(f"{MISSING} ({error})") from error
    inputs = pixels.astype(np.float32) / 255
    logging.getLogger("litert_torch").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        plain = Path(folder) / "float.tflite"
        litert_torch.convert(model, (torch.from_numpy(inputs[:1]),)).export(str(plain))
        work = quantizer.Quantizer(str(plain), recipe.static_wi8_ai8())
        ranges = work.calibrate({"serving_default": [{"args_0": each[None]} for each in inputs]})
        first = next(name for name in ranges if name.startswith("serving_default_args_0"))
        ranges[first] = {
            **ranges[first],
            "min": np.zeros_like(ranges[first]["min"]),
            "max": np.ones_like(ranges[first]["max"]),
        }
        return bytes(work.quantize(ranges).quantized_model)


def _with_metadata(content: bytes, text: str) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(text.encode(), np.uint8)
    entry.name, entry.buffer = METADATA_KEY, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _compare(model: nn.Module, int8: EmotionClassifier, pixels: NDArray[np.uint8], contract: ModelMetadata) -> None:
    with torch.no_grad():
        wanted = model(torch.from_numpy(pixels.astype(np.float32) / 255)).argmax(1).numpy()
    if contract.channels == 1:
        pixels = np.repeat(pixels, 3, 3)
    elif contract.color == "rgb":
        pixels = np.ascontiguousarray(pixels[..., ::-1])
    same = float((int8.classify(list(pixels)).argmax(1) == wanted).mean())
    if same < AGREEMENT:
        raise ModelError(
            f"the int8 model decides as the network does on {same:.0%} of the calibration pictures, expected "
            f"{AGREEMENT:.0%}; calibrate with the data that it was trained on"
        )


@dataclass(frozen=True)
class Requirements:
    """What a model needs on a microcontroller: ``flash`` and ``arena`` in bytes, and TensorFlow Lite Micro's names of
    its ``operators``."""

    flash: int
    arena: int
    operators: tuple[str, ...]


def needs(model: Path) -> Requirements:
    """What a .tflite file needs, the arena by running TensorFlow Lite Micro's own allocator.

    Raises:
        ModelError: tflite-micro is not installed, or cannot run the file.
    """
    program = (
        "import sys; from tflite_micro import runtime as r; "
        "r.Interpreter.from_bytes(open(sys.argv[1], 'rb').read(), arena_size=2**26).print_allocations()"
    )
    run = subprocess.run([sys.executable, "-c", program, model], capture_output=True, text=True, check=False)
    found = re.search(r"Arena allocation total (\d+) bytes", run.stdout + run.stderr)
    if run.returncode or not found:
        reason = (run.stderr.strip() or "no answer").splitlines()[-1]
        raise ModelError(f"{model}: TensorFlow Lite Micro cannot run it ({reason}). {MISSING}")
    content = model.read_bytes()
    return Requirements(len(content), int(found[1]), tuple(sorted(_operators(content))))


def _operators(content: bytes) -> set[str]:
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    codes = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content)).operatorCodes
    words = (names[code.builtinCode].split("_") for code in codes)
    return {"".join(word.capitalize() for word in each).replace("2d", "2D") for each in words}


def write_c(model: Path, output: Path) -> Requirements:
    """Write a .tflite file as C: ``output`` with the bytes, and a header beside it that says how to use them.

    Raises:
        ModelError: the model cannot be used.
        OutputError: a file cannot be written.
    """
    contract, needed, content = EmotionClassifier(model).contract, needs(model), model.read_bytes()
    header, stem = output.with_suffix(".h"), re.sub(r"\W", "_", output.stem)
    rows = [", ".join(f"0x{byte:02x}" for byte in content[start : start + 16]) for start in range(0, len(content), 16)]
    labels = ", ".join(f'"{label}"' for label in contract.labels)
    guard, operators = f"{stem.upper()}_H", "\n".join(f"//   resolver.Add{name}();" for name in needed.operators)
    about = f"""\
// {output.stem}: {", ".join(contract.labels)}
// Written by emotion-ros export. Data: {contract.data or "not said"}. Licence: {contract.licence or "not said"}.
//
// Input: int8, 1 x {contract.size} x {contract.size} x {contract.channels}, {contract.color}, pixel - 128.
// Output: int8, 1 x {len(contract.labels)}, in the order of the labels; probability = (value + 128) / 256.
// TensorFlow Lite Micro needs these operators:
//   tflite::MicroMutableOpResolver<{len(needed.operators)}> resolver;
{operators}
#ifndef {guard}
#define {guard}

#define {stem.upper()}_ARENA_BYTES {needed.arena}
#define {stem.upper()}_SIDE {contract.size}
#define {stem.upper()}_CHANNELS {contract.channels}
#define {stem.upper()}_LABELS {len(contract.labels)}

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
        header.write_text(about)
        output.write_text(source)
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error.strerror}") from error
    return needed
