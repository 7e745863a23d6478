"""The blocks of a model compiled for a GPU: one for all layers, since they differ by their weights alone.

Not the model as a whole: that takes long at 16 layers, anew for each shape. What comes before and after the blocks is
little.
"""

import sys

from scaling_lab.model.transformer import Transformer

# Numbers of pieces and their greatest lengths by powers of two, sizes of micro-batches, with and without a gradient.
SHAPES_AT_MOST = 64


def compile_blocks(model: Transformer, backend: str = "inductor") -> None:
    """Have a block compiled as it is first called, and again for each shape that it has not met."""
    from torch import _dynamo

    _dynamo.config.recompile_limit = SHAPES_AT_MOST
    for block in model.blocks:
        block.compile(fullgraph=True, dynamic=False, backend=backend)


def compiler_failed(error: Exception) -> bool:
    """Whether it was the compiler that raised this: most often a machine that lacks Triton, or a C compiler."""
    compiler = sys.modules.get("torch._dynamo")
    return compiler is not None and isinstance(error, compiler.exc.TorchDynamoException)
