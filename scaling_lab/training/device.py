"""The machine a run trains on: device, arithmetic, threads, and the ceiling that MFU is measured against."""

import contextlib
import os
import platform
import time
from dataclasses import dataclass
from typing import Any, Literal

import torch

from scaling_lab.config.schema import MachineConfig
from scaling_lab.errors import UsageError
from scaling_lab.training.allocator import allocator_in_use
from scaling_lab.training.plan import MICRO_BATCH_BYTES

Precision = Literal["bf16", "fp32"]

# A GPU gains by them until they fill it; weights, gradients and what its allocator wastes need the rest.
GPU_SHARE = 0.5


@dataclass(frozen=True)
class Machine:
    """What was chosen, and how fast it multiplies.

    Attributes:
        peak_flops_per_second: FLOPs a second of large square matrix products in this precision, measured at the start.
    """

    device: torch.device
    precision: Precision
    threads: int
    processor: str
    peak_flops_per_second: float

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Arithmetic of matrix products inside this context."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def free_memory(self) -> None:
        """Give back what torch keeps of a GPU's memory for later."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def synchronize(self) -> None:
        """Wait for the device, so that a clock read after it means something."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    @property
    def on_gpu(self) -> bool:
        """Whether the device works on its own while Python goes on."""
        return self.device.type == "cuda"

    def micro_batch_bytes(self) -> int:
        """Memory that a micro-batch's activations may take; the same on every card of a kind."""
        if self.on_gpu:
            return int(GPU_SHARE * torch.cuda.get_device_properties(self.device).total_memory)
        return MICRO_BATCH_BYTES

    def to_dict(self) -> dict[str, Any]:
        """As results store it."""
        return {
            "device": str(self.device),
            "precision": self.precision,
            "threads": self.threads,
            "processor": self.processor,
            "allocator": allocator_in_use(),
            "peak_flops_per_second": self.peak_flops_per_second,
        }


class Moment:
    """A point in a device's work: where it stands once all is done that it was given before."""

    def __init__(self, machine: Machine) -> None:
        self._event = torch.cuda.Event(enable_timing=True) if machine.device.type == "cuda" else None
        if self._event is not None:
            self._event.record()
        self._time = time.perf_counter()

    def wait(self) -> None:
        """Return once the device has come to it."""
        if self._event is not None:
            self._event.synchronize()

    def seconds_since(self, earlier: "Moment") -> float:
        """From an earlier moment to this one; both are past."""
        if self._event is None or earlier._event is None:
            return self._time - earlier._time
        return earlier._event.elapsed_time(self._event) / 1000


def choose_machine(config: MachineConfig) -> Machine:
    """Pick device, precision and threads, set them, and measure the ceiling (about 0.2 s).

    Raises:
        UsageError: if a GPU is asked for and there is none.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "machine.device: cuda was asked for and torch finds no GPU; "
            "install a CUDA build of torch, or give --device cpu"
        )
    use_gpu = config.device != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda" if use_gpu else "cpu")
    # Processes that torchrun starts on one machine share its cores.
    threads = config.threads or max(1, len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
    torch.set_num_threads(threads)
    fast_bf16 = torch.cuda.is_bf16_supported(including_emulation=False) if use_gpu else cpu_has_bf16()
    precision: Precision = ("bf16" if fast_bf16 else "fp32") if config.precision == "auto" else config.precision
    processor = torch.cuda.get_device_name() if use_gpu else _processor_name()
    return Machine(device, precision, threads, processor, measure_peak(device, precision))


def cpu_has_bf16() -> bool:
    """Whether the processor multiplies bf16 itself (AVX512-BF16 or AMX); where it doesn't, bf16 is 30 times slower."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def measure_peak(device: torch.device, precision: Precision) -> float:
    """FLOPs a second of a large square matrix product: the best of a few, since all else only slows it down."""
    width = 8192 if device.type == "cuda" else 1024
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left = torch.randn(width, width, dtype=dtype, device=device)
    seconds = []
    for _ in range(6):
        begin = time.perf_counter()
        torch.mm(left, left)
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return 2 * width**3 / min(seconds)


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
            names = [line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
