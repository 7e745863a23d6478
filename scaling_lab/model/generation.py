"""How a trained model writes: a token at a time, many documents side by side. Reached by `scaling-lab sample`.

Decisions:
- Keys and values of what was read are kept (`CachedReader`), so that a token costs one pass over itself, not one over
  everything before it.
- All documents of a batch are equally long: they begin with one prompt and grow by a token a step. So there is neither
  padding nor mask. One that has ended leaves the batch, and the last one moves to its place.
- Each document has random numbers of its own: it is a function of (seed, its index), however many are written at once.
  Only rounding differs between batch sizes, by about 1e-7 of a probability.
- A document longer than the context goes on as training reads it: as a new piece, whose beginning is the later half of
  what is there.

Legend of suffixes: B documents, T tokens of each, L layers, H heads, K head width, V vocabulary, D d_model;
M = B·T tokens side by side, those of one document after those of another.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scaling_lab.model.attention import attention_within_pieces
from scaling_lab.model.cost import key_value_bytes
from scaling_lab.model.rotary import rotary_angles, rotated
from scaling_lab.model.transformer import Transformer

# Keys and values of all documents that are written at once.
CACHE_BYTES = 2**30

# Told after each token: documents that are written, and tokens of those that are being written.
WatchWriting = Callable[[int, int], None]


@dataclass(frozen=True)
class Drawing:
    """How tokens are drawn.

    Attributes:
        max_tokens: most tokens of a document after its prompt, 1 or more.
        context: longest stretch that attention spans, prompt included, in tokens.
        temperature: what logits are divided by, 0 or more; 0 always takes the most probable token.
        top_p: share of the probability, held by the most probable tokens, that is drawn from (Holtzman et al.,
            1904.09751, section 3.1); from 0 to 1, and 1 is all of it.
        seed: with a document's index, what fixes the document; 0 or more.
    """

    max_tokens: int
    context: int
    temperature: float = 1.0
    top_p: float = 0.95
    seed: int = 0


@dataclass(frozen=True)
class Written:
    """One document: its tokens after the prompt, the end not among them, and whether it ended by itself."""

    tokens: list[int]
    ended: bool


@dataclass
class _Document:
    """A document that is being written: its place among all, and where its random numbers come from."""

    index: int
    random: np.random.Generator
    tokens: list[int] = field(default_factory=list)


class CachedReader:
    """A transformer that remembers what it has read: documents of one length, read together."""

    def __init__(self, model: Transformer, n_documents: int, capacity: int) -> None:
        """Room for `n_documents` of `capacity` tokens, allocated here and never again."""
        config, weight = model.config, model.embedding.weight
        shape = (config.n_layers, 2, n_documents, config.n_heads, capacity, config.head_width)
        self.model, self.capacity = model, capacity
        self.kept_L2BHTK = torch.empty(shape, dtype=weight.dtype, device=weight.device)
        self.rotation_T1KP = rotary_angles([capacity], config.head_width, weight.device)
        self.n_documents, self.length = n_documents, 0

    def begin(self, tokens_BT: Tensor) -> Tensor:
        """Forget everything and read the beginnings of B documents; logits_BV of what follows."""
        self.n_documents, self.length = len(tokens_BT), 0
        return self._read(tokens_BT)

    def read(self, tokens_B: Tensor) -> Tensor:
        """Read one more token of each document; logits_BV of what follows."""
        return self._read(tokens_B[:, None])

    def repeat(self, n_documents: int) -> None:
        """Make `n_documents` of the first one."""
        kept = self.kept_L2BHTK[..., : self.length, :]
        kept[:, :, 1:n_documents] = kept[:, :, :1]
        self.n_documents = n_documents

    def drop(self, document: int) -> None:
        """Let one document go; the last one takes its place."""
        self.n_documents -= 1
        if document != self.n_documents:
            kept = self.kept_L2BHTK[..., : self.length, :]
            kept[:, :, document] = kept[:, :, self.n_documents]

    def _read(self, tokens_BT: Tensor) -> Tensor:
        n_documents, count = tokens_BT.shape
        begin, self.length = self.length, self.length + count
        rotation_M1KP = self.rotation_T1KP[begin : self.length].repeat(n_documents, 1, 1, 1)
        attends = [partial(self._attend, layer, rotation_M1KP) for layer in range(self.model.config.n_layers)]
        x_MD = self.model.stream(tokens_BT.flatten(), attends)
        return self.model.head(x_MD.view(n_documents, count, -1)[:, -1])

    def _attend(self, layer: int, rotation_M1KP: Tensor, qkv_M3HK: Tensor) -> Tensor:
        """Keep keys and values of what is read, and attend to all that is kept."""
        q_MHK, k_MHK, v_MHK = rotated(qkv_M3HK, rotation_M1KP).unbind(1)
        count = len(q_MHK) // self.n_documents
        kept_2BHTK = self.kept_L2BHTK[layer, :, : self.n_documents, :, : self.length]
        for place, new_MHK in enumerate((k_MHK, v_MHK)):
            new_BTHK = new_MHK.unflatten(0, (self.n_documents, count))
            kept_2BHTK[place, :, :, -count:] = new_BTHK.transpose(1, 2)
        if count > 1:  # only ever at the beginning, where there is nothing else to attend to
            lengths = [count] * self.n_documents
            return attention_within_pieces(lengths, self.model.config.head_width, q_MHK.device)(qkv_M3HK)
        return F.scaled_dot_product_attention(q_MHK[:, :, None], kept_2BHTK[0], kept_2BHTK[1]).squeeze(2)


@torch.inference_mode()
def generate(
    model: Transformer,
    prompt: Sequence[int],
    n_documents: int,
    drawing: Drawing,
    *,
    eos_id: int,
    drawable_V: Tensor,
    batch_size: int | None = None,
    watch: WatchWriting = lambda n_written, n_tokens: None,
) -> list[Written]:
    """Write documents that all begin with `prompt`.

    Args:
        model: a trained one, fp32, on the device where it is to work.
        prompt: ids that each document begins with, BOS first; fewer than the context has room for.
        n_documents: how many to write.
        drawing: how tokens are drawn, and how many at most.
        eos_id: the token that ends a document; it may be drawn in any case.
        drawable_V: bool, whether each of the vocabulary's tokens may be drawn.
        batch_size: how many are written at once. Absent: as many as 1 GiB of keys and values allows.
        watch: called after each token with the number of written documents, and of tokens of those that aren't.

    Raises:
        ValueError: if the prompt is empty or fills the context.
    """
    if not 0 < len(prompt) < drawing.context:
        raise ValueError(f"a prompt of {len(prompt)} tokens leaves nothing to write in a context of {drawing.context}")
    barred_V = torch.where(drawable_V, 0.0, -torch.inf)
    barred_V[eos_id] = 0.0
    capacity = min(drawing.context, len(prompt) + drawing.max_tokens)
    batch_size = batch_size or max(1, CACHE_BYTES // key_value_bytes(model.config, capacity))
    reader = CachedReader(model, min(batch_size, n_documents), capacity)
    barred_V = barred_V.to(reader.kept_L2BHTK.device)
    written: dict[int, Written] = {}
    for begin in range(0, n_documents, batch_size):
        indexes = range(begin, min(begin + batch_size, n_documents))
        for length, ended in enumerate(_write(reader, prompt, indexes, drawing, eos_id, barred_V), start=1):
            written |= ended
            watch(len(written), length)
    return [written[index] for index in range(n_documents)]


def _write(
    reader: CachedReader, prompt: Sequence[int], indexes: range, drawing: Drawing, eos_id: int, barred_V: Tensor
) -> Iterator[dict[int, Written]]:
    """Write one batch; after each token, the documents that ended with it, by index."""
    documents = [_Document(index, np.random.default_rng((drawing.seed, index))) for index in indexes]
    device = barred_V.device
    logits_BV = reader.begin(torch.tensor([prompt], device=device)).expand(len(documents), -1)
    reader.repeat(len(documents))
    for step in range(drawing.max_tokens):
        if step and reader.length < reader.capacity:
            logits_BV = reader.read(torch.tensor([document.tokens[-1] for document in documents], device=device))
        elif step:
            later = [[*prompt, *document.tokens][-(drawing.context // 2) :] for document in documents]
            logits_BV = reader.begin(torch.tensor(later, device=device))
        # 24 bits of them: times any probability they stay below it, and no token of probability 0 is met.
        uniform_B = torch.tensor([document.random.random(dtype=np.float32) for document in documents], device=device)
        drawn = draw(logits_BV + barred_V, uniform_B, drawing.temperature, drawing.top_p).tolist()
        ended = _take(documents, reader, drawn, eos_id)
        if step + 1 == drawing.max_tokens:
            ended |= {document.index: Written(document.tokens, ended=False) for document in documents}
        yield ended
        if not documents:
            return


def _take(documents: list[_Document], reader: CachedReader, drawn: list[int], eos_id: int) -> dict[int, Written]:
    """Give each document the token that was drawn for it; those that it ended leave, and are returned by index."""
    ended: dict[int, Written] = {}
    # From the last on: one that takes the place of another has had its token.
    for place in reversed(range(len(documents))):
        document = documents[place]
        if drawn[place] != eos_id:
            document.tokens.append(drawn[place])
            continue
        ended[document.index] = Written(document.tokens, ended=True)
        reader.drop(place)
        documents[place] = documents[-1]
        documents.pop()
    return ended


def draw(logits_BV: Tensor, uniform_B: Tensor, temperature: float, top_p: float) -> Tensor:
    """A token for each document, int64 [B]: a function of its logits and of one number from [0, 1)."""
    if temperature == 0:
        return logits_BV.argmax(dim=1)
    highest_B1 = logits_BV.amax(dim=1, keepdim=True)
    probability_BV = ((logits_BV - highest_B1).double() / temperature).softmax(dim=1)
    if top_p < 1:
        probability_BV = nucleus(probability_BV, top_p)
    cumulative_BV = probability_BV.cumsum(dim=1)
    wanted_B1 = uniform_B.double()[:, None] * cumulative_BV[:, -1:]
    return torch.searchsorted(cumulative_BV, wanted_B1, right=True)[:, 0]


def nucleus(probability_BV: Tensor, top_p: float) -> Tensor:
    """The smallest set of most probable tokens that holds `top_p`, one at least; all others become 0."""
    sorted_BV, order_BV = probability_BV.sort(dim=1, descending=True, stable=True)
    before_BV = sorted_BV.cumsum(dim=1) - sorted_BV
    sorted_BV[:, 1:][before_BV[:, 1:] >= top_p] = 0
    return torch.zeros_like(probability_BV).scatter(1, order_BV, sorted_BV)
