"""nanoGPT's model and optimizer from a checkout on PYTHONPATH, stepped as its train.py does; bf16 by autocast.

Its own script has no autocast on a CPU and would be twice as slow; and it isn't compiled, as its README advises there.
"""

import torch
from contest import Music, Stopwatch, answer, read_spec
from model import GPT, GPTConfig  # pyright: ignore - nanoGPT's


def main() -> None:
    spec, device = read_spec(), "cpu"
    torch.manual_seed(1337)
    # Its heads divide the width: 16 of 64 for xl, where ours has 12 of 96.
    n_heads = spec.n_heads if spec.d_model % spec.n_heads == 0 else spec.d_model // 64
    shape = {"n_layer": spec.n_layers, "n_head": n_heads, "n_embd": spec.d_model}
    model = GPT(
        GPTConfig(block_size=spec.sequence_length, vocab_size=spec.vocab_size, dropout=0.0, bias=False, **shape)
    )
    betas = (spec.beta1, spec.beta2)
    optimizer = model.configure_optimizers(spec.weight_decay, spec.learning_rate, betas, device)
    music = Music(spec)
    losses: list[float] = []

    def step() -> None:
        nonlocal inputs_BT, targets_BT
        loss = torch.zeros(())
        for _ in range(spec.micro_batches):
            with torch.autocast(device, dtype=torch.bfloat16, enabled=spec.bf16):
                _, loss = model(inputs_BT, targets_BT)
                loss = loss / spec.micro_batches
            inputs_BT, targets_BT = music.batch()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), spec.grad_clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item() * spec.micro_batches)

    inputs_BT, targets_BT = music.batch()
    stopwatch = Stopwatch(spec.seconds)
    stopwatch.run(step)
    answer(stopwatch, sum(parameter.numel() for parameter in model.parameters()), losses[-1])


if __name__ == "__main__":
    main()
