#!/bin/bash
# A study on the nodes of a Slurm job:
#   sbatch --nodes=4 deploy/slurm.sh STUDY.toml OUT
# OUT is on a file system that all nodes see. At the end of its time the job puts itself back into the queue and goes on.
#SBATCH --job-name=vcm-sweep
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=vcm-sweep-%j.log
set -euo pipefail

study=${1:?usage: sbatch slurm.sh STUDY.toml OUT}
out=${2:?usage: sbatch slurm.sh STUDY.toml OUT}
# The environment that vcm-sweep is installed in; its bin folder goes first on every node.
[ -z "${VCM_SWEEP_ENV:-}" ] || export PATH="$VCM_SWEEP_ENV/bin:$PATH"

# Whoever else is on these nodes has no token, and is not taken in. The file is ours alone, and goes with the job.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$PWD/.vcm-sweep-token-$SLURM_JOB_ID"
(umask 077; python -c 'import secrets; print(secrets.token_hex(32), end="")' > "$RAY_AUTH_TOKEN_PATH")
export OMP_NUM_THREADS=1 RAY_USAGE_STATS_ENABLED=0

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
port=$((20000 + SLURM_JOB_ID % 20000))
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}'):$port

ray_nodes=()
finish() {
  kill "${ray_nodes[@]}" 2>/dev/null || true
  wait "${ray_nodes[@]}" 2>/dev/null || true
  rm -f "$RAY_AUTH_TOKEN_PATH"
}
trap finish EXIT

srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \
  ray start --head --block --node-ip-address="${address%:*}" --port="$port" --num-cpus="$SLURM_CPUS_PER_TASK" &
ray_nodes+=($!)
for _ in $(seq 60); do
  ray health-check --address "$address" >/dev/null 2>&1 && break
  sleep 2
done
for node in "${nodes[@]:1}"; do
  srun --overlap --nodes=1 --ntasks=1 --nodelist="$node" \
    ray start --block --address="$address" --num-cpus="$SLURM_CPUS_PER_TASK" &
  ray_nodes+=($!)
done

# The driver is told first that time is running out: it saves what is under way.
asked_to_stop=0
vcm-sweep run "$study" --out "$out" --address "$address" &
driver=$!
trap 'asked_to_stop=1; kill -TERM "$driver"' TERM
# A trap ends the wait: the driver has still to be waited for.
while :; do
  code=0
  wait "$driver" || code=$?
  kill -0 "$driver" 2>/dev/null || break
done

# 0 and 6: the study is done, with or without failed trials.
if [ "$asked_to_stop" = 1 ] && [ "$code" != 0 ] && [ "$code" != 6 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
