"""What the key-value cache is worth: eight documents written with it, and by reading everything anew for each token.

    python benchmarks/generation.py [REPEATS]      # absent: 3, some three minutes

mini-large of the music21 core's vocabulary with its initial weights, which cost what trained ones do; fp32, one thread.
Both draw in the same way, and take turns. The figures are in docs/benchmarks.md.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence

import torch

from scaling_lab.config import load_config
from scaling_lab.model.generation import Drawing, draw, generate
from scaling_lab.model.transformer import Transformer

VOCAB_SIZE, BOS_ID, EOS_ID = 82, 1, 2
N_DOCUMENTS = 8


def with_cache(model: Transformer, n_tokens: int) -> int:
    """Tokens written: a tenth fewer than asked for, since some documents end, which only lowers the rate."""
    drawing = Drawing(n_tokens, context=n_tokens + 1, temperature=1.0, top_p=0.3)
    drawable = torch.arange(VOCAB_SIZE) > EOS_ID
    written = generate(model, [BOS_ID], N_DOCUMENTS, drawing, eos_id=EOS_ID, drawable_V=drawable)
    return sum(len(document.tokens) for document in written)


@torch.inference_mode()
def without_cache(model: Transformer, n_tokens: int) -> int:
    """Tokens written."""
    documents = torch.full((N_DOCUMENTS, 1), BOS_ID)
    for _ in range(n_tokens):
        length = documents.shape[1]
        logits = model(documents.flatten(), [length] * N_DOCUMENTS).view(N_DOCUMENTS, length, -1)[:, -1]
        logits[:, : EOS_ID + 1] = -torch.inf
        drawn = draw(logits, torch.rand(N_DOCUMENTS), temperature=1.0, top_p=0.3)
        documents = torch.cat([documents, drawn[:, None]], dim=1)
    return N_DOCUMENTS * n_tokens


def tokens_per_second(write: Callable[[Transformer, int], int], model: Transformer, n_tokens: int) -> float:
    begin = time.perf_counter()
    return write(model, n_tokens) / (time.perf_counter() - begin)


def main(arguments: Sequence[str]) -> None:
    """Measures and prints a table."""
    repeats = int(arguments[0]) if arguments else 3
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Transformer(load_config(size="large", ladder="mini", environ={}).model, VOCAB_SIZE)
    with_cache(model, 16)
    print("| tokens a document | with the cache, tokens/s | without, tokens/s | times |")
    for n_tokens in (256, 1024):
        rates: dict[str, list[float]] = {"with": [], "without": []}
        for _ in range(repeats):
            rates["with"].append(tokens_per_second(with_cache, model, n_tokens))
            rates["without"].append(tokens_per_second(without_cache, model, n_tokens))
        fast, slow = (statistics.median(rates[name]) for name in ("with", "without"))
        print(f"| {n_tokens:,} | {fast:,.0f} | {slow:,.0f} | {fast / slow:.0f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
