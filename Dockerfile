FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY deploy/install-packages deploy/
RUN deploy/install-packages build
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make build && deploy/check-libraries bin/thermogate

FROM debian:12-slim
COPY deploy/install-packages /tmp/
RUN /tmp/install-packages run && rm -rf /var/lib/apt/lists/* /tmp/install-packages \
 && useradd --system --groups video --home-dir /var/lib/thermogate --create-home thermogate
COPY --from=build /src/bin/thermogate /src/bin/thermogate-console /usr/bin/
COPY deploy/thermogate.yaml /etc/thermogate/
COPY LICENSE deploy/README.md deploy/kiosk.md deploy/security.md deploy/third-party-licences.txt /usr/share/doc/thermogate/
# What OpenCV says of every pipeline it opens, thermogate says in its own log.
ENV OPENCV_LOG_LEVEL=ERROR OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT=2
USER thermogate
WORKDIR /var/lib/thermogate
VOLUME /var/lib/thermogate
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
	CMD ["thermogate", "check", "--running", "-c", "/etc/thermogate/thermogate.yaml"]
ENTRYPOINT ["thermogate"]
CMD ["run", "-c", "/etc/thermogate/thermogate.yaml"]
