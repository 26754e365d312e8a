# The image holds the static binary, the certificates of public authorities and
# an empty data folder: no shell, no package manager.
#
#   make image
#   docker run -p 127.0.0.1:8080:8080 -v parley-data:/data parley
#
# The tag of the builder follows the go line of go.mod.
FROM golang:1.26 AS build
WORKDIR /src
# The modules alone first: they change less often than the code.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# What parley version says: make image and the compose files tell it. The history is not here.
ARG VERSION=
ARG COMMIT=
RUN CGO_ENABLED=0 go build -trimpath -o /out/parley -ldflags="-s -w \
    -X parley/internal/version.number=$VERSION -X parley/internal/version.commit=$COMMIT" ./cmd/parley
# A new volume takes over the owner of the folder it hides.
RUN install -d -o 65532 -g 65532 -m 0700 /out/data
# SQLite sorts large results in a temporary folder.
RUN install -d -o 65532 -g 65532 -m 0700 /out/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/parley /parley
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/tmp /tmp
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
# Reachable from outside the container, so nobody signs up unless told otherwise:
# make accounts with "parley user add", or set PARLEY_SIGNUP=open.
ENV PARLEY_ADDR=0.0.0.0:8080 \
    PARLEY_DATA_DIR=/data \
    PARLEY_SIGNUP=closed
VOLUME /data
EXPOSE 8080
# Whoever restarts what is not healthy must not do it because the database is away.
HEALTHCHECK --start-period=30s --timeout=5s CMD ["/parley", "health", "--live"]
ENTRYPOINT ["/parley"]
