"""What a model costs before it exists: parameters, FLOPs and bytes, in plain arithmetic and without torch.

Reached by `scaling-lab train --size xl --dry-run`. Three counts of N are always kept, since laws
differ by which is used:

- non_embedding: all blocks and norms, without the token embedding (Kaplan et al., 2001.08361, section 2.1)
- total: everything that is stored; the embedding is tied to the output head, so it counts once
- matmul: what a token is multiplied by, output head included (Hoffmann et al., 2203.15556, appendix F)
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from scaling_lab.config.schema import ModelConfig

# fp32 weight, gradient and AdamW's two running means.
TRAINING_BYTES_PER_PARAMETER = 16
# Up to this length in tokens a piece is short: on a CPU the probabilities of its attention are kept for the backward
# pass. Those of longer ones would outweigh all else that is kept.
SHORT_PIECE = 1024


@dataclass(frozen=True)
class ParameterCounts:
    """The three counts of N."""

    non_embedding: int
    total: int
    matmul: int

    def to_dict(self) -> dict[str, int]:
        """As results and reports store it."""
        return asdict(self)


def count_parameters(model: ModelConfig, vocab_size: int) -> ParameterCounts:
    """Parameters of a bias-free, pre-norm transformer with tied embedding and rotary positions.

    The test that builds every preset and counts its tensors holds this formula to the model.
    """
    attention = 4 * model.d_model * model.attention_width
    mlp = 2 * model.d_model * model.d_ff
    norms = (2 * model.n_layers + 1) * model.d_model
    blocks = model.n_layers * (attention + mlp)
    embedding = vocab_size * model.d_model
    return ParameterCounts(non_embedding=blocks + norms, total=blocks + norms + embedding, matmul=blocks + embedding)


def flops_per_token(model: ModelConfig, vocab_size: int, attended_length: float) -> float:
    """Training FLOPs (forward and backward) of one token: 6·N_matmul + 6·L·(n_heads·head_dim)·T.

    The second term is causal attention's scores and weighted sum, half of the full square; T is `attended_length`, the
    length in tokens of the piece that attention spans. 6·N alone is 4.3x too low for tiny at T = 5,000.
    """
    matmul = 6.0 * count_parameters(model, vocab_size).matmul
    attention = 6.0 * model.n_layers * model.attention_width * attended_length
    return matmul + attention


def flops_of_pieces(model: ModelConfig, vocab_size: int, lengths: Iterable[int]) -> float:
    """Training FLOPs of a batch of pieces of the given lengths (tokens): a token attends within its own piece."""
    lengths = list(lengths)
    n_tokens = sum(lengths)
    # The mean, over tokens, of the length that each attends in: one formula for all pieces.
    attended = sum(length * length for length in lengths) / n_tokens
    return n_tokens * flops_per_token(model, vocab_size, attended)


def activation_bytes_per_token(model: ModelConfig, vocab_size: int, attended_length: float) -> int:
    """Bytes that one token leaves behind for the backward pass, bf16 where the arithmetic is; an estimate for planning.

    A block keeps two norms' inputs and outputs, q, k, v and the attention's result, the MLP's two inner activations,
    two residual sums, and of a short piece the attention's probabilities; the head keeps fp32 logits and their softmax.
    """
    block = 4 * 4 * model.d_model + 2 * 2 * model.d_model + 4 * 4 * model.attention_width + 2 * 2 * model.d_ff
    probabilities = 2 * model.n_heads * min(attended_length, SHORT_PIECE)
    return round(model.n_layers * (block + probabilities)) + 8 * vocab_size


def training_bytes(model: ModelConfig, vocab_size: int, attended_length: float, micro_batch_tokens: int) -> int:
    """Memory to train, bytes: weights, gradients, AdamW's state, and one micro-batch's activations; an estimate."""
    state = TRAINING_BYTES_PER_PARAMETER * count_parameters(model, vocab_size).total
    return state + micro_batch_tokens * activation_bytes_per_token(model, vocab_size, attended_length)


def key_value_bytes(model: ModelConfig, length: int) -> int:
    """Memory of the fp32 keys and values that generating one document of `length` tokens keeps, bytes."""
    return 2 * 4 * model.n_layers * model.attention_width * length
