# MinIO no longer publishes images. This builds its pinned source, the same version as stack/tools.ts.
FROM golang:1.26 AS build
RUN CGO_ENABLED=0 go install -ldflags '-s -w' github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c

FROM alpine:3.22
RUN adduser -D -H -u 1000 minio && mkdir /data && chown minio:minio /data
COPY --from=build /go/bin/minio /usr/local/bin/minio
USER minio
ENV HOME=/tmp MINIO_BROWSER=off MINIO_UPDATE=off
EXPOSE 9000
ENTRYPOINT ["minio"]
CMD ["server", "/data", "--address", ":9000"]
