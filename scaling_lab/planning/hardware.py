"""Cards that a ladder can be planned for without having one: what is assumed of them, said in every plan."""

from dataclasses import dataclass

from scaling_lab.config.schema import ModelConfig

# Share of the matmul ceiling that training reaches, by width of the model: small ones are bound by memory and launches.
# Goals, not measurements; see docs/scale.md.
_MFU_BY_WIDTH = ((128, 0.20), (256, 0.30), (512, 0.40), (768, 0.48), (1024, 0.50))
# Below the guide's smallest nobody has set a goal; launches alone take most of the time.
_NARROWEST_MFU = 0.02


@dataclass(frozen=True)
class Card:
    """One accelerator.

    Attributes:
        peak_flops_per_second: what large bf16 matrix products reach in practice, some 80 % of the data sheet's.
    """

    name: str
    peak_flops_per_second: float


CARDS = {
    "h200": Card("NVIDIA H200", 790e12),
    "h100": Card("NVIDIA H100", 790e12),
    "a100": Card("NVIDIA A100", 250e12),
}


def assumed_mfu(model: ModelConfig) -> float:
    """Model FLOPs utilisation assumed of a model of this width on a card."""
    return max((mfu for width, mfu in _MFU_BY_WIDTH if width <= model.d_model), default=_NARROWEST_MFU)
