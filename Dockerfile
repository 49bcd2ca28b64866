# The collector as an image, static and without a shell:
#   docker build -t registry.example.com/otelcol-flux:0.1.0 .
FROM golang:1.26 AS build
WORKDIR /src
COPY . .
# Nothing of the C library: the final image has none.
ENV CGO_ENABLED=0
RUN make build

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /src/_build/otelcol-flux /src/_build/fluxnotify /usr/local/bin/
USER 65532:65532
EXPOSE 8787
ENTRYPOINT ["/usr/local/bin/otelcol-flux"]
CMD ["--config", "/etc/otelcol-flux/collector.yaml"]
