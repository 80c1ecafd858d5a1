#!/bin/sh
# Creates Temporal's two databases, or updates their schema. Safe to repeat: every start of compose runs it.
set -eu

for name in temporal temporal_visibility; do
  folder=${name#temporal_}
  sql() { temporal-sql-tool --plugin postgres12 --endpoint postgres --port 5432 --user membridge --database "$name" "$@"; }
  sql create-database
  sql setup-schema --version 0.0
  sql update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$folder/versioned"
done
