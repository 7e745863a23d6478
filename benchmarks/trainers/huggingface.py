"""Hugging Face's Trainer with a Llama of the same shape, bf16=True if that is fast; from step's end to step's end."""

import tempfile
from typing import Any

import torch
from contest import Music, Stopwatch, answer, read_spec
from transformers import (  # pyright: ignore[reportMissingImports]
    LlamaConfig,
    LlamaForCausalLM,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)


class Rows(torch.utils.data.Dataset):
    """Rows of T tokens in order; the model shifts its labels by itself."""

    def __init__(self, music: Music) -> None:
        self.music = music

    def __len__(self) -> int:
        return 10**6

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        row = self.music.row()[:-1]
        return {"input_ids": row, "labels": row}


class Laps(TrainerCallback):
    """Stops the training once there were enough steps."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self.stopwatch = stopwatch

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        control.should_training_stop = self.stopwatch.lap()


def main() -> None:
    spec = read_spec()
    torch.manual_seed(1337)
    # Its heads divide the width: 16 of 64 for xl, where ours has 12 of 96.
    divides = spec.d_model % spec.n_heads == 0
    n_heads, head_dim = (spec.n_heads, spec.head_dim) if divides else (spec.d_model // 64, 64)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=spec.vocab_size,
            hidden_size=spec.d_model,
            # Three matrices in its MLP, where ours has two: the same number of parameters.
            intermediate_size=round(spec.d_ff * 2 / 3 / 8) * 8,
            num_hidden_layers=spec.n_layers,
            num_attention_heads=n_heads,
            num_key_value_heads=n_heads,
            head_dim=head_dim,
            max_position_embeddings=spec.sequence_length,
            tie_word_embeddings=True,
            use_cache=False,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    stopwatch = Stopwatch(spec.seconds)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            use_cpu=True,
            bf16=spec.bf16,
            per_device_train_batch_size=spec.rows,
            gradient_accumulation_steps=spec.micro_batches,
            max_steps=10**5,
            learning_rate=spec.learning_rate,
            weight_decay=spec.weight_decay,
            adam_beta1=spec.beta1,
            adam_beta2=spec.beta2,
            max_grad_norm=spec.grad_clip,
            train_sampling_strategy="sequential",
            save_strategy="no",
            eval_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        trainer = Trainer(model=model, args=arguments, train_dataset=Rows(Music(spec)), callbacks=[Laps(stopwatch)])
        trainer.remove_callback(PrinterCallback)
        result = trainer.train()
    answer(stopwatch, model.num_parameters(), result.training_loss)


if __name__ == "__main__":
    main()
