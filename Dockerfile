# Two images:  docker build --target gate -t thermogate .      docker build --target console -t thermogate-console .
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY deploy/install-packages deploy/
RUN deploy/install-packages build
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN deploy/build "$(dpkg --print-architecture)" bin \
 && deploy/image-root bin /image

# The console is one static file. Beside it: who signs certificates, time zones, a user, and a folder for files that are downloaded.
FROM scratch AS console
COPY --from=build /image/console /
COPY --from=build --chown=990:990 /image/data /var/lib/thermogate-console
COPY LICENSE deploy/README.md deploy/console.md deploy/kiosk.md deploy/security.md deploy/third-party-licences.txt /usr/share/doc/thermogate/
USER 990:990
# SQLite is C: with more than two pools of memory for its threads, more lies there unused.
ENV MALLOC_ARENA_MAX=2
WORKDIR /var/lib/thermogate-console
VOLUME /var/lib/thermogate-console
EXPOSE 8090
HEALTHCHECK --interval=10s --timeout=6s --start-period=1h \
	CMD ["thermogate-console", "check", "-c", "/etc/thermogate/console.yaml"]
ENTRYPOINT ["/usr/bin/thermogate-console"]
CMD ["-c", "/etc/thermogate/console.yaml"]

FROM debian:12-slim AS gate
COPY deploy/install-packages deploy/image-slim /tmp/
COPY --from=build /src/bin/stand-ins /usr/local/lib/
COPY --from=build /src/bin/thermogate /usr/bin/
RUN /tmp/install-packages run && /tmp/image-slim && rm -rf /var/lib/apt/lists/* /tmp/install-packages /tmp/image-slim \
 && useradd --system --uid 990 --groups video --home-dir /var/lib/thermogate --create-home thermogate
COPY deploy/thermogate.yaml /etc/thermogate/
COPY LICENSE deploy/README.md deploy/console.md deploy/kiosk.md deploy/security.md deploy/third-party-licences.txt /usr/share/doc/thermogate/
# What OpenCV says of every pipeline it opens, thermogate says in its own log. Pools of C's memory: as above.
ENV OPENCV_LOG_LEVEL=ERROR OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT=2 MALLOC_ARENA_MAX=2
USER thermogate
WORKDIR /var/lib/thermogate
VOLUME /var/lib/thermogate
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
	CMD ["thermogate", "check", "--running", "-c", "/etc/thermogate/thermogate.yaml"]
ENTRYPOINT ["thermogate"]
CMD ["run", "-c", "/etc/thermogate/thermogate.yaml"]
