# scaling-lab in a container: docker build -t scaling-lab . && docker run --rm -v "$PWD:/work" scaling-lab study --ladder mini
# For a GPU, or on ARM: docker build --build-arg TORCH=cuda -t scaling-lab . && docker run --gpus all …
# A W&B key is given when it runs (-e WANDB_API_KEY), never when it is built.
FROM python:3.11-slim

# cpu: PyTorch's CPU build for x86_64. cuda: PyPI's build, which uses a GPU where there is one.
ARG TORCH=cpu

# tcmalloc is found and used by what trains.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libtcmalloc-minimal4 \
    && rm -rf /var/lib/apt/lists/*

# Dependencies alone, so that a change of the code doesn't fetch them again: by their hashes, and wheels alone.
WORKDIR /opt/scaling-lab
COPY constraints.txt ./
COPY constraints/ constraints/
RUN PINNED="pip install --no-cache-dir --no-deps --require-hashes --only-binary :all:" \
    && if [ "$TORCH" = cpu ]; \
       then $PINNED --index-url https://download.pytorch.org/whl/cpu -r constraints/cpu.txt; \
       else $PINNED -r constraints/cuda.txt; fi \
    && $PINNED -r constraints.txt

COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation . && pip check

RUN useradd --create-home --uid 1000 lab && mkdir /work && chown lab /work
USER lab
WORKDIR /work
ENTRYPOINT ["scaling-lab"]
CMD ["--help"]
