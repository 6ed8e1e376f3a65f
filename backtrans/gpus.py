"""GPUs as their data sheets have them: what an estimate and a fit count with.

Promises: figures are those of dense matrices; where a sheet gives them with sparsity, half of them.
Memory is in the sheet's GB, 10^9 bytes, which is a little under what the driver shows.

Does not know: models; what of a peak is ever reached.
"""

from dataclasses import dataclass

from backtrans.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. `fp8_flops` is None where it has no FP8 arithmetic."""

    name: str
    memory_bytes: float
    bytes_per_second: float
    bf16_flops: float  # a second, dense
    fp8_flops: float | None
    source: str


_SHEET = "NVIDIA data sheet:"

GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("H100", 80e9, 3.35e12, 989.5e12, 1979e12, f"{_SHEET} H100 Tensor Core GPU, SXM"),
        Gpu("H100-PCIE", 80e9, 2.0e12, 756.5e12, 1513e12, f"{_SHEET} H100 PCIe"),
        Gpu("H200", 141e9, 4.8e12, 989.5e12, 1979e12, f"{_SHEET} H200 Tensor Core GPU, SXM"),
        Gpu("B200", 180e9, 8.0e12, 2250e12, 4500e12, f"{_SHEET} DGX B200, an eighth"),
        Gpu("A100", 80e9, 2.039e12, 312e12, None, f"{_SHEET} A100 80GB, SXM"),
        Gpu("A100-40GB", 40e9, 1.555e12, 312e12, None, f"{_SHEET} A100 40GB, SXM"),
        Gpu("L40S", 48e9, 0.864e12, 362e12, 733e12, f"{_SHEET} L40S"),
        Gpu("L4", 24e9, 0.3e12, 121e12, 242.5e12, f"{_SHEET} L4"),
    )
}


def gpu_of(name: str) -> Gpu:
    """Return a GPU by its name, in any case. Raises: ConfigError."""
    if (found := GPUS.get(name.upper())) is None:
        raise ConfigError(f"--gpu {name}: is not known; there are {', '.join(GPUS)}")
    return found
