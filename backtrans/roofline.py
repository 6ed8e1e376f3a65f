"""How long a GPU takes at the least to read and write tokens: its arithmetic, or its memory.

    floor = max(2 x active parameters x tokens / FLOP/s, bytes moved / bytes a second)

Promises: no engine is faster, since attention's own arithmetic and all that moves but weights, keys
and values are left out.

Does not know: how near to it an engine comes.
Source: the two sides are those of a roofline; 2 FLOP a parameter and token is a forward pass
(2001.08361 section 2.1).
"""

from backtrans.engines.model_shape import Shape
from backtrans.gpus import Gpu

EFFICIENCY = 0.4
"""Of the floor's speed, until this job's own is known. Source: this project's assumption: vLLM on
dense models reaches a third to a half of a GPU's peak while it reads prompts."""


def floor_seconds(
    shape: Shape, gpu: Gpu, prompt: float, output: float, length: float, sequences: int
) -> float:
    """Return the GPU-seconds under which no engine can do it: arithmetic, or bytes moved.

    `prompt` and `output` are tokens; a request has `length` of them, and `sequences` at most are
    decoded in a step, which reads all weights once and the keys and values of each.
    """
    flops = gpu.bf16_flops if shape.weight_bytes > 1 else gpu.fp8_flops or gpu.bf16_flops
    computed = 2.0 * shape.active * (prompt + output) / flops
    weights = shape.parameters * shape.weight_bytes * output / sequences
    cache = output * length * shape.kv_bytes()
    return max(computed, (weights + cache) / gpu.bytes_per_second)
