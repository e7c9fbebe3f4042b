import { shellQuote } from '../lib/shell.ts';
import type { Payload } from '../resources/kind.ts';

/** Where a host keeps jobs: root's folder, or the login user's where nothing becomes root. */
export const jobPaths = `if [ "$(id -u)" = 0 ]; then job_base=/var/lib/blkfleet job_lock=/run/blkfleet
else job_base=\${XDG_STATE_HOME:-$HOME/.local/state}/blkfleet job_lock=$job_base; fi
`;

/** Begins each control line of a job's log; no step's output is taken for one, as the job's mark follows. */
export const LOG_MARK = '\x1e';

/**
 * Prints the jobs that a host still keeps, one `job ID STATE RUNNING` line each: STATE is `done`, `running` or `cut`
 * (neither a result nor a process: the host went down). Reads only: the lock is tried through an existing file.
 */
export const jobsProbe = `bf_b jobs
${jobPaths}
for job_d in "$job_base"/jobs/*/; do
  [ -f "$job_d/meta" ] || continue
  job_id=\${job_d%/}; job_id=\${job_id##*/}
  job_pid=; [ -f "$job_d/pid" ] && read -r job_pid < "$job_d/pid"
  if [ -f "$job_d/result" ]; then job_state=done
  elif [ -n "$job_pid" ] && grep -q "$job_id" "/proc/$job_pid/cmdline" 2>/dev/null; then job_state=running
  else job_state=cut; fi
  printf 'job %s %s\\n' "$job_id" "$job_state"
done 2>/dev/null
bf_e jobs 0
`;

/**
 * The runner that stays on the host: one process, its own session, that holds the lock, runs the steps in the order of
 * `plan` and writes `result` last, by rename. `plan` has a line a step: `INDEX DEADLINE USER GUARD`.
 * Arguments: the job's folder, its mark, the lock's folder. Exit codes are in the result only.
 */
const runner = `#!/bin/sh
set -u
job=$1 mark=$2 lock=$3
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
export PATH LC_ALL
umask 077
cd /
exec </dev/null >>"$job/log" 2>&1
say() { printf '\\n\\036%s %s\\n' "$mark" "$*"; }
finish() {
  printf '%s\\n' "$1" > "$job/result.new" && cat "$job/steps.done" >> "$job/result.new" 2>/dev/null
  sync "$job/result.new" 2>/dev/null
  mv -f "$job/result.new" "$job/result"
  say "done $1"
  exit 0
}
# A lock file that was removed meanwhile guards nothing: take the one that has the name now.
while :; do
  exec 9>>"$lock/lock"
  flock -n 9 || finish busy
  [ "$(stat -c %i "$lock/lock" 2>/dev/null)" = "$(stat -Lc %i /proc/self/fd/9 2>/dev/null)" ] && break
done
status=ok
while read -r index deadline user guard; do
  step=$job/steps/$index
  say "start $index"
  tmp=$job/tmp.$index
  rm -rf "$tmp"; mkdir "$tmp"
  rc=0
  if [ "$guard" = 1 ]; then
    BF_PAYLOAD=$job/payload BF_TMP=$tmp timeout -k 10 60 sh -eu "$step.guard" 9>&- || rc=guard
  fi
  if [ "$rc" = 0 ]; then
    if [ "$user" = - ]; then
      BF_PAYLOAD=$job/payload BF_TMP=$tmp timeout -k 10 "$deadline" sh -eu "$step.sh" 9>&- || rc=$?
    else
      pub=$(mktemp -d /tmp/blkfleet.XXXXXXXX) && mkdir "$pub/tmp" && cp -R "$job/payload" "$pub/payload" &&
        cp "$step.sh" "$pub/step.sh" && chown -R "$user" "$pub" &&
        runuser -u "$user" -- env BF_PAYLOAD="$pub/payload" BF_TMP="$pub/tmp" \\
          timeout -k 10 "$deadline" sh -eu "$pub/step.sh" 9>&- || rc=$?
      [ -n "$pub" ] && rm -rf "$pub"
    fi
  fi
  rm -rf "$tmp"
  printf '%s %s\\n' "$index" "$rc" >> "$job/steps.done"
  say "end $index $rc"
  [ "$rc" = 0 ] || { status=failed; break; }
done < "$job/plan"
finish "$status"
`;

/** One step as the job carries it. `user` is true where it runs as the login user. */
export interface JobStep {
  script: string;
  guard?: string | undefined;
  deadline: number;
  user: boolean;
  payloads: readonly Payload[];
}

export interface JobSpec {
  /** [a-z0-9-]+, unique over runs */
  id: string;
  /** begins the control lines of the log; hex */
  mark: string;
  /** what a later run needs to make sense of the log; one line of JSON */
  meta: string;
  steps: readonly JobStep[];
}

/**
 * The script that writes a job to the host and starts it detached, as chunks for stdin. Frame `launch` answers:
 * `started`, `busy` (another job holds the lock), or says what is wrong with rc 1. Contents are checked by sha256
 * there before anything runs. A folder that a broken upload left is made anew; a job that was started already, by a
 * script whose link was lost, is followed.
 */
export function launchScript(job: JobSpec): (string | Buffer)[] {
  const chunks: (string | Buffer)[] = [];
  chunks.push(`bf_b launch
${jobPaths}
job=$job_base/jobs/${job.id}
job_fail() { rm -rf "$job"; printf '%s\\n' "$1"; bf_e launch 1; exit 0; }
for job_d in "$job_base" "$job_base/jobs" "$job_lock"; do
  [ -d "$job_d" ] || mkdir -p -m 0700 "$job_d" || job_fail "can not make $job_d"
  if [ -L "$job_d" ] || [ "$(stat -c %u "$job_d")" != "$(id -u)" ]; then job_fail "$job_d is not ours"; fi
done
job_go() { printf 'started\\n'; bf_e launch 0; job_follow; exit 0; }
job_follow() {
${followLines(job.id)}}
job_pid=; [ -f "$job/pid" ] && read -r job_pid < "$job/pid"
if [ -f "$job/result" ]; then job_go; fi
if [ -n "$job_pid" ] && grep -q ${job.id} "/proc/$job_pid/cmdline" 2>/dev/null; then job_go; fi
for job_t in flock setsid timeout stat sha256sum base64; do
  command -v "$job_t" >/dev/null || job_fail "there is no $job_t on the host (util-linux and coreutils have them)"
done
if [ -e "$job_lock/lock" ] && ! flock -n "$job_lock/lock" true; then printf 'busy\\n'; bf_e launch 0; exit 0; fi
rm -rf "$job"; mkdir -m 0700 "$job" "$job/steps" "$job/payload" || job_fail "can not make $job"
`);
  const sums: string[] = [];
  for (const payload of distinct(job.steps.flatMap((s) => s.payloads))) {
    sums.push(`${payload.sha256}  ${payload.sha256}`);
    chunks.push(`base64 -d > "$job/payload/${payload.sha256}" <<'BF_END'\n`, base64(payload), 'BF_END\n');
  }
  if (sums.length > 0)
    chunks.push(`( cd "$job/payload" && sha256sum -c --status - ) <<'BF_END' || job_fail 'an upload arrived damaged, or the disk is full'
${sums.join('\n')}
BF_END
`);
  const files: string[] = [];
  const plan: string[] = [];
  for (const [index, step] of job.steps.entries()) {
    files.push(writeFile(`steps/${index}.sh`, step.script));
    if (step.guard) files.push(writeFile(`steps/${index}.guard`, step.guard));
    const user = step.user ? '$job_user' : '-';
    plan.push(`"${index} ${Math.max(1, Math.round(step.deadline))} ${user} ${step.guard ? 1 : 0}"`);
  }
  chunks.push(`job_user=-; [ "$(id -u)" = 0 ] && [ "\${SUDO_USER-root}" != root ] && job_user=$SUDO_USER
${files.join('')}printf '%s\\n' ${plan.join(' ')} > "$job/plan"
${writeFile('run.sh', runner)}${writeFile('meta', job.meta)}: > "$job/steps.done"; : > "$job/log"
setsid sh "$job/run.sh" "$job" ${job.mark} "$job_lock" </dev/null >/dev/null 2>&1 &
printf '%s\\n' "$!" > "$job/pid"
job_go
`);
  return chunks;
}

/**
 * Follows a job that runs or has ended: frame `meta` is what its run wrote of it, frame `log` streams its log from byte
 * `offset` on until the job ends, frame `result` is its result.
 */
export function followScript(id: string, offset = 0): string {
  return `${jobPaths}bf_b meta; head -c 262144 "$job_base/jobs/${id}/meta"; bf_e meta $?
${followLines(id, offset)}`;
}

/** Only waits, for a log too long to follow: frame `result`. */
export function waitScript(id: string): string {
  return `${jobPaths}job=$job_base/jobs/${id}
read -r job_pid < "$job/pid"
while [ ! -f "$job/result" ] && grep -q ${id} "/proc/$job_pid/cmdline" 2>/dev/null; do sleep 1; done
${printResult}
`;
}

/** Removes a job whose result has been seen, and the folders when nothing else is kept there. */
export function forgetScript(ids: readonly string[]): string {
  return `${jobPaths}${ids.map((id) => `rm -rf "$job_base/jobs/${id}"`).join('\n')}
rmdir "$job_base/jobs" 2>/dev/null && rmdir "$job_base" 2>/dev/null
if [ -e "$job_lock/lock" ]; then flock -n "$job_lock/lock" rm -f "$job_lock/lock"; rmdir "$job_lock" 2>/dev/null; fi
`;
}

// A job that was cut left no result, but the steps that it had done.
const printResult = `bf_b result
cat "$job/result" 2>/dev/null || { echo cut; cat "$job/steps.done" 2>/dev/null; }
bf_e result 0`;

function followLines(id: string, offset = 0): string {
  return `job=$job_base/jobs/${id}
job_pid=; read -r job_pid < "$job/pid"
bf_b log
tail -c +${offset + 1} -f -s 0.2 --pid="\${job_pid:-1}" "$job/log" 2>/dev/null
bf_e log 0
${printResult}
`;
}

function writeFile(name: string, text: string): string {
  return `printf '%s\\n' ${shellQuote(text)} > "$job/${name}"\n`;
}

function distinct(payloads: readonly Payload[]): Payload[] {
  return [...new Map(payloads.map((p) => [p.sha256, p])).values()];
}

// The same payload goes to many hosts: encode it once for all of them.
const encoded = new WeakMap<Buffer, Buffer>();

function base64(payload: Payload): Buffer {
  let text = encoded.get(payload.bytes);
  if (!text) {
    const lines = payload.bytes.toString('base64').match(/.{1,1024}/g) ?? [];
    text = Buffer.from(lines.map((l) => `${l}\n`).join(''));
    encoded.set(payload.bytes, text);
  }
  return text;
}
