"""scaling-lab, as `scaling-lab train` takes its steps: its own pieces, micro-batch and allocator."""

from contest import Stopwatch, answer, read_spec

from scaling_lab.config import resolve_config
from scaling_lab.data.configured import open_configured
from scaling_lab.training.allocator import restart_with_fast_allocator


def main() -> None:
    restart_with_fast_allocator()
    from scaling_lab.training.device import choose_machine
    from scaling_lab.training.distributed import World
    from scaling_lab.training.learner import Learner
    from scaling_lab.training.plan import plan_run

    spec = read_spec()
    values = {
        "size": spec.size,
        "data.dir": spec.data_dir,
        "data.sequence_length": spec.sequence_length,
        "recipe.batch_size_tokens": spec.batch_size_tokens,
        "recipe.learning_rate": spec.learning_rate,
        "recipe.tokens": 1000 * spec.batch_size_tokens,
    }
    config = resolve_config(overrides=[f"{key}={value}" for key, value in values.items()]).config
    dataset = open_configured(config.data)
    machine = choose_machine(config.machine)
    plan = plan_run(config, dataset, machine.micro_batch_bytes())
    learner = Learner(config, dataset, plan, machine, World.alone())
    losses: list[float] = []
    stopwatch = Stopwatch(spec.seconds)
    stopwatch.run(lambda: losses.append(learner.take_step(len(losses), lambda: None).loss))
    answer(stopwatch, plan.parameters.total, losses[-1])


if __name__ == "__main__":
    main()
