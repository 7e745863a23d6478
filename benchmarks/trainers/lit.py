"""litgpt's model in the order of steps of its pretraining: Fabric, compiled, its chunked cross-entropy."""

import lightning  # pyright: ignore[reportMissingImports]
import torch
from contest import Music, Stopwatch, answer, read_spec
from litgpt import GPT, Config  # pyright: ignore[reportMissingImports]
from litgpt.utils import chunked_cross_entropy  # pyright: ignore[reportMissingImports]


def main() -> None:
    spec = read_spec()
    fabric = lightning.Fabric(accelerator="cpu", devices=1, precision="bf16-mixed" if spec.bf16 else "32-true")
    fabric.seed_everything(1337)
    with fabric.init_module(empty_init=False):
        model = GPT(
            Config(
                block_size=spec.sequence_length,
                vocab_size=spec.vocab_size,
                padded_vocab_size=spec.vocab_size,
                n_layer=spec.n_layers,
                n_head=spec.n_heads,
                head_size=spec.head_dim,
                n_embd=spec.d_model,
                intermediate_size=round(spec.d_ff * 2 / 3 / 8) * 8,
                rotary_percentage=1.0,
                parallel_residual=False,
                bias=False,
                norm_class_name="RMSNorm",
                mlp_class_name="LLaMAMLP",
            )
        )
    model.transformer.wte.weight = model.lm_head.weight
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    model = fabric.setup(torch.compile(model))
    betas = (spec.beta1, spec.beta2)
    adamw = torch.optim.AdamW(model.parameters(), spec.learning_rate, betas=betas, weight_decay=spec.weight_decay)
    optimizer = fabric.setup_optimizers(adamw)
    music = Music(spec)
    losses: list[float] = []

    def step() -> None:
        loss = torch.zeros(())
        for number in range(spec.micro_batches):
            inputs_BT, targets_BT = music.batch()
            with fabric.no_backward_sync(model, enabled=number < spec.micro_batches - 1):
                loss = chunked_cross_entropy(model(inputs_BT), targets_BT)
                fabric.backward(loss / spec.micro_batches)
        fabric.clip_gradients(model, optimizer, max_norm=spec.grad_clip)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())

    stopwatch = Stopwatch(spec.seconds)
    stopwatch.run(step)
    answer(stopwatch, n_parameters, losses[-1])


if __name__ == "__main__":
    main()
