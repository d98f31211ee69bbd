# For a CPU, or a GPU with the container toolkit: docker build -t slf-mmdet . && docker run --rm -it slf-mmdet
FROM python:3.11-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /slf-mmdet
COPY . .
# For a smaller image: --build-arg PIP_EXTRA_INDEX_URL=<the index of torch's CPU wheels>
ARG PIP_EXTRA_INDEX_URL
RUN pip install --no-cache-dir -c constraints.txt -e ".[lite,demo]"
CMD ["python", "tools/demo.py"]
