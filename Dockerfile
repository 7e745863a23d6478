# scaling-lab in a container: docker build -t scaling-lab . && docker run --rm -v "$PWD:/work" scaling-lab study --ladder mini
# For a GPU: docker build --build-arg TORCH=cu130 -t scaling-lab . && docker run --gpus all …
# A W&B key is given when it runs (-e WANDB_API_KEY), never when it is built.
FROM python:3.11-slim

# cpu, or a CUDA version that PyTorch publishes wheels for.
ARG TORCH=cpu

# tcmalloc is found and used by what trains.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libtcmalloc-minimal4 \
    && rm -rf /var/lib/apt/lists/*

# Dependencies alone, so that a change of the code doesn't fetch them again.
WORKDIR /opt/scaling-lab
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY scaling_lab/version.py scaling_lab/
RUN pip install --no-cache-dir --constraint constraints.txt --extra-index-url "https://download.pytorch.org/whl/${TORCH}" \
      "torch==2.13.0+${TORCH}" ".[corpus]"

COPY . .
RUN pip install --no-cache-dir --no-deps .

RUN useradd --create-home --uid 1000 lab && mkdir /work && chown lab /work
USER lab
WORKDIR /work
ENTRYPOINT ["scaling-lab"]
CMD ["--help"]
