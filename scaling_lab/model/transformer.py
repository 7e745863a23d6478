"""The transformer that every size is: decoder-only, bias-free, pre-norm, rotary, tied. Built by `scaling-lab train`.

Decisions:
- No rows. A batch is one flat stretch of tokens and the lengths of its pieces; attention stays inside a piece,
  everything else sees M tokens side by side. Micro-batch size is then free, and no loss depends on it.
- No position table: 5,000 x d_model would be 40 % of tiny. Rotary positions (Su et al., 2104.09864) count from each
  piece's own beginning (`rotary.py`).
- The embedding is also the output head: on the low rungs it is a good part of N.
- A residual branch starts 1/sqrt(2·n_layers) as strong, so that depth does not change the scale of the stream (GPT-2).

Legend of suffixes: M tokens of a micro-batch, D d_model, F d_ff, H heads, K head width, V vocabulary.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaling_lab.config.schema import ModelConfig
from scaling_lab.model.attention import Attend, attention_within_pieces


class Attention(nn.Module):
    """Self-attention; `attend` says which tokens see which, and from where."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.n_heads, self.head_width = config.n_heads, config.head_width
        self.qkv = nn.Linear(config.d_model, 3 * config.attention_width, bias=False)
        self.out = nn.Linear(config.attention_width, config.d_model, bias=False)

    def forward(self, x_MD: Tensor, attend: Attend) -> Tensor:
        qkv_M3HK = self.qkv(x_MD).view(-1, 3, self.n_heads, self.head_width)
        return self.out(attend(qkv_M3HK).flatten(1))


class MLP(nn.Module):
    """Two matrices with a squared ReLU between (So et al., 2109.08668): mini-xl learned faster so than with GELU."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.down = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x_MD: Tensor) -> Tensor:
        return self.down(_SquaredReLU.apply(self.up(x_MD)))


class _SquaredReLU(torch.autograd.Function):
    """Memory bounds it, so its gradient 2·relu(x) is one pass: torch's own three take a third longer."""

    @staticmethod
    def forward(ctx: Any, x_MF: Tensor) -> Tensor:
        positive_MF = F.relu(x_MF)
        ctx.save_for_backward(positive_MF)
        return positive_MF.square()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        (positive_MF,), (grad_MF,) = ctx.saved_tensors, grad_outputs
        return torch.addcmul(grad_MF.new_zeros(1, 1), grad_MF, positive_MF, value=2)


class Block(nn.Module):
    """Attention, then MLP, each read through a norm and added to the stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.d_model, bias=False)
        self.attention = Attention(config)
        self.mlp_norm = nn.LayerNorm(config.d_model, bias=False)
        self.mlp = MLP(config)

    def forward(self, x_MD: Tensor, attend: Attend) -> Tensor:
        x_MD = x_MD + self.attention(self.attention_norm(x_MD), attend)
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
        attend = attention_within_pieces(lengths, self.config.head_width, tokens_M.device)
        return self.head(self.stream(tokens_M, [attend] * len(self.blocks)))

    def stream(self, tokens_M: Tensor, attends: Sequence[Attend]) -> Tensor:
        """What all blocks make of tokens, x_MD; `attends` has one for each block."""
        x_MD = self.embedding(tokens_M)
        for block, attend in zip(self.blocks, attends, strict=True):
            x_MD = block(x_MD, attend)
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
