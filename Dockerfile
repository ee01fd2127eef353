# The server and every command of First Listen; a GPU is not used. Build: docker build -t firstlisten .
FROM python:3.12-slim
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --create-home --uid 10001 listener && install -d -o listener /workspace /music
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY recommender recommender
COPY pipelines pipelines
# a smaller image: --build-arg PIP_EXTRA_INDEX_URL=(an index with PyTorch builds for CPU)
ARG PIP_EXTRA_INDEX_URL=""
RUN pip install '.[postgres]' -c constraints.txt
USER listener
VOLUME /workspace
EXPOSE 8000
# elsewhere than on loopback the server asks for API keys by itself
ENV FIRSTLISTEN_HOST=0.0.0.0 FIRSTLISTEN_DRAIN_S=5
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["firstlisten"]
CMD ["serve", "/workspace"]
