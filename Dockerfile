# The exercise in a container:
#
#   docker build . -t tare && docker run --rm tare demo
#
# A file of yours: docker run --rm -v "$PWD:/data:ro" tare scan /data/model.pt
# Every package comes through ./bootstrap, which holds the only list of them.

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY bootstrap ./
RUN ./bootstrap build
COPY . .
RUN make build CMAKE_FLAGS=-DTARE_BUILD_TESTS=OFF

FROM debian:bookworm-slim
COPY bootstrap /tmp/bootstrap
RUN /tmp/bootstrap run && rm -rf /tmp/bootstrap /var/lib/apt/lists/*
RUN useradd --create-home --shell /usr/sbin/nologin tare
# tare starts tare-fetch and tare-demo from the folder it stands in itself.
COPY --from=build /src/build/release/tare /src/build/release/tare-fetch /src/build/release/tare-demo /usr/local/bin/
USER tare
WORKDIR /home/tare
ENTRYPOINT ["tare"]
CMD ["--help"]
