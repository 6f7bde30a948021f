#!/bin/sh
# MLflow's server for a team. The database's password comes from a file, reaches libpq through the
# environment of this process, and stands neither on a command line nor in an address.
set -eu
PGPASSWORD="$(cat /run/secrets/postgres_password)"
export PGPASSWORD
exec mlflow server \
  --backend-store-uri "postgresql+psycopg2://mlflow@postgres:5432/mlflow" \
  --artifacts-destination "s3://mlflow" \
  --host 0.0.0.0 --port 5000
