#!/bin/sh
# Creates the namespace that Membridge uses, when it is not there.
set -eu

# A new server answers before it knows its own members, so another try succeeds.
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  if temporal operator namespace describe --namespace default; then exit 0; fi
  if temporal operator namespace create --namespace default --retention 72h; then exit 0; fi
  echo "attempt $attempt failed; the next one follows in 3 seconds" >&2
  sleep 3
done
echo "The namespace could not be created at $TEMPORAL_ADDRESS." >&2
exit 1
