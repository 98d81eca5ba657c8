#!/usr/bin/env bash
#SBATCH --job-name=exeunt
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@300
#SBATCH --requeue
#
# Run a sweep on the nodes of one Slurm job:
#
#   sbatch deploy/slurm.sh configs/quickstart.yaml --storage /shared/runs
#
# All arguments are passed to `exeunt sweep`. All nodes must share the storage. Five minutes before the time limit, the
# sweep writes its checkpoints and stops; the job is requeued and resumes the sweep.
set -euo pipefail

# Since Slurm 22.05 a step does not inherit --cpus-per-task of its job: without it, Ray and all trials get one core.
# With it, a step has exactly these cores, so each node runs one step with all of them.
cpus=${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-1}}
gpus=${SLURM_GPUS_ON_NODE:-}

nodes=($(scontrol show hostnames "$SLURM_JOB_NODELIST"))
head=${nodes[0]}
port=$((20000 + SLURM_JOB_ID % 10000))

# The cluster belongs to this job: its token is new, and only this user can read it.
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH=$PWD/.ray-token-$SLURM_JOB_ID
(umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$RAY_AUTH_TOKEN_PATH")
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT

start() {  # NODES OPTIONS...: start Ray on each of the nodes
  local nodelist=$1
  shift
  srun --nodes="$(wc -w <<< "${nodelist//,/ }")" --nodelist="$nodelist" --ntasks-per-node=1 \
    --cpus-per-task="$cpus" ${gpus:+--gpus-per-node="$gpus"} \
    ray start --num-cpus="$cpus" --num-gpus="${gpus:-0}" \
    --disable-usage-stats --block "$@" &
}

start "$head" --head --port="$port"
until ray health-check --address "$head:$port" 2> /dev/null; do sleep 2; done
if ((${#nodes[@]} > 1)); then
  start "$(IFS=, && echo "${nodes[*]:1}")" --address="$head:$port"
fi

exeunt sweep "$@" --address "$head:$port" &
sweep=$!
again() {
  kill -INT "$sweep" 2> /dev/null || true
  wait "$sweep" || true
  scontrol requeue "$SLURM_JOB_ID"
}
trap again TERM
status=0
wait "$sweep" || status=$?
exit "$status"
