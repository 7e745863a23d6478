"""What a run is, and how it is put together: `load_config("run.yaml", size="tiny")` gives a validated RunConfig."""

from scaling_lab.config.dump import dump_yaml
from scaling_lab.config.resolve import ResolvedConfig, load_config, resolve_config
from scaling_lab.config.schema import LADDERS, SIZES, RunConfig
from scaling_lab.config.settings import Override

__all__ = ["LADDERS", "SIZES", "Override", "ResolvedConfig", "RunConfig", "dump_yaml", "load_config", "resolve_config"]
