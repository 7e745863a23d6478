"""The transformer that every size is: decoder-only, bias-free, pre-norm, rotary, tied. Built by `scaling-lab train`.

Decisions:
- No rows and no padding. A batch is one flat stretch of tokens and the lengths of its pieces; attention stays inside a
  piece, everything else sees M tokens side by side. Micro-batch size is then free, and no loss depends on it.
- No position table: 5,000 x d_model would be 40 % of tiny. Rotary positions (Su et al., 2104.09864) count from each
  piece's own beginning.
- The embedding is also the output head: on the low rungs it is a good part of N.
- Attention on a CPU is fp32 even where matrix products are bf16: softmax and rotation keep their precision, and heads
  are too narrow to gain from less.
- A residual branch starts 1/sqrt(2·n_layers) as strong, so that depth does not change the scale of the stream (GPT-2).

Legend of suffixes: M tokens of a micro-batch, D d_model, H heads, K head width, V vocabulary, T tokens of a piece.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaling_lab.config.schema import ModelConfig

ROTARY_BASE = 10_000.0

# How the heads of one layer mix what is read: rotated queries, rotated keys and values, each MHK, to mixed_MHK.
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


class Attention(nn.Module):
    """Self-attention; `attend` says which tokens see which."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.n_heads, self.head_width = config.n_heads, config.head_width
        self.qkv = nn.Linear(config.d_model, 3 * config.attention_width, bias=False)
        self.out = nn.Linear(config.attention_width, config.d_model, bias=False)

    def forward(self, x_MD: Tensor, rotation: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        qkv_M3HK = self.qkv(x_MD).view(-1, 3, self.n_heads, self.head_width)
        if qkv_M3HK.device.type == "cpu":
            qkv_M3HK = qkv_M3HK.float()
        q_MHK, k_MHK, v_MHK = qkv_M3HK.unbind(1)
        mixed_MHK = attend(rotate(q_MHK, rotation), rotate(k_MHK, rotation), v_MHK)
        return self.out(mixed_MHK.flatten(1))


class MLP(nn.Module):
    """Two matrices with a squared ReLU between (So et al., 2109.08668): mini-xl learned faster so than with GELU."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.down = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x_MD: Tensor) -> Tensor:
        return self.down(F.relu(self.up(x_MD)).square())


class Block(nn.Module):
    """Attention, then MLP, each read through a norm and added to the stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.d_model, bias=False)
        self.attention = Attention(config)
        self.mlp_norm = nn.LayerNorm(config.d_model, bias=False)
        self.mlp = MLP(config)

    def forward(self, x_MD: Tensor, rotation: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        x_MD = x_MD + self.attention(self.attention_norm(x_MD), rotation, attend)
        return x_MD + self.mlp(self.mlp_norm(x_MD))


class Transformer(nn.Module):
    """Next-token logits for a flat stretch of tokens cut into pieces."""

    def __init__(self, config: ModelConfig, vocab_size: int, seed: int | None = 0) -> None:
        """`seed` fixes the initial weights; None leaves them unset, for a model whose weights will be loaded."""
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        self.embedding = nn.Embedding(vocab_size, config.d_model)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.final_norm = nn.LayerNorm(config.d_model, bias=False)
        if seed is not None:
            self._initialise(seed)

    def forward(self, tokens_M: Tensor, lengths: Sequence[int]) -> Tensor:
        """Logits for the token that follows each given one.

        Args:
            tokens_M: int64 ids of all pieces, one after the other.
            lengths: tokens in each piece; their sum is M.

        Returns:
            logits_MV in fp32: cross-entropy over bf16 logits reads as much as 0.12 nats too low.
        """
        rotation = rotary_angles(lengths, self.config.head_width, tokens_M.device)
        attend = partial(attend_within_pieces, lengths=lengths)
        return self.head(self.stream(tokens_M, rotation, [attend] * len(self.blocks)))

    def stream(self, tokens_M: Tensor, rotation: tuple[Tensor, Tensor], attends: Sequence[Attend]) -> Tensor:
        """What all blocks make of tokens, x_MD; `attends` has one for each block."""
        x_MD = self.embedding(tokens_M)
        for block, attend in zip(self.blocks, attends, strict=True):
            x_MD = block(x_MD, rotation, attend)
        return x_MD

    def head(self, x_MD: Tensor) -> Tensor:
        """Logits in fp32, [M, V], of what `stream` gave."""
        return F.linear(self.final_norm(x_MD), self.embedding.weight).float()

    def loss(self, tokens_M: Tensor, targets_M: Tensor, lengths: Sequence[int]) -> Tensor:
        """Cross-entropy summed over all targets but the ignored (negative) ones: nats, a scalar."""
        return F.cross_entropy(self(tokens_M, lengths), targets_M, ignore_index=-100, reduction="sum")

    @torch.no_grad()
    def _initialise(self, seed: int) -> None:
        """Normal weights of standard deviation 1/sqrt(fan in), from a generator that nothing else draws from."""
        generator = torch.Generator().manual_seed(seed)
        residual_scale = 1 / math.sqrt(2 * self.config.n_layers)
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                continue
            std = 1 / math.sqrt(parameter.shape[1])
            if name.endswith(("attention.out.weight", "mlp.down.weight")):
                std *= residual_scale
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)


def rotary_angles(lengths: Sequence[int], head_width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every token's rotation, each [M, 1, K/2] in fp32; positions restart with every piece."""
    longest = torch.arange(max(lengths), dtype=torch.float32)
    frequency = ROTARY_BASE ** (-torch.arange(0, head_width, 2, dtype=torch.float32) / head_width)
    angle_TK = torch.outer(longest, frequency)
    cos_TK, sin_TK = angle_TK.cos(), angle_TK.sin()
    cos_M1K = torch.cat([cos_TK[:length] for length in lengths])[:, None]
    sin_M1K = torch.cat([sin_TK[:length] for length in lengths])[:, None]
    return cos_M1K.to(device), sin_M1K.to(device)


def rotate(x_MHK: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair (i, i + K/2) of a head by its token's angle."""
    cos_M1K, sin_M1K = (part.to(x_MHK.dtype) for part in rotation)
    first, second = x_MHK.chunk(2, dim=-1)
    return torch.cat((first * cos_M1K - second * sin_M1K, second * cos_M1K + first * sin_M1K), dim=-1)


def attend_within_pieces(q_MHK: Tensor, k_MHK: Tensor, v_MHK: Tensor, lengths: Sequence[int]) -> Tensor:
    """Causal softmax attention, one piece at a time: no mask, no padding, and work only where it counts."""
    pieces = zip(q_MHK.split(lengths), k_MHK.split(lengths), v_MHK.split(lengths), strict=True)  # type: ignore[arg-type]
    mixed = []
    for piece in pieces:
        q_1HTK, k_1HTK, v_1HTK = (part_THK.transpose(0, 1)[None] for part_THK in piece)
        with torch.autocast(q_MHK.device.type, enabled=q_MHK.device.type != "cpu"):
            mixed.append(F.scaled_dot_product_attention(q_1HTK, k_1HTK, v_1HTK, is_causal=True))
    return torch.cat([mixed_1HTK[0].transpose(0, 1) for mixed_1HTK in mixed])
