import { effectiveUser, shellQuote } from '../lib/shell.ts';
import type { Payload } from '../resources/kind.ts';

/** Where a host keeps jobs: root's folder, or the login user's where nothing becomes root. */
export const jobPaths = `${effectiveUser}if [ "$bf_uid" = 0 ]; then job_base=/var/lib/blkfleet job_lock=/run/blkfleet
else job_base=\${XDG_STATE_HOME:-$HOME/.local/state}/blkfleet job_lock=$job_base; fi
`;

/** Bytes kept free for a result: a full disk must not take it, and a step may well have filled it. */
const SPARE = 65536;

/** Begins each control line of a job's log; no step's output is taken for one, as the job's mark follows. */
export const LOG_MARK = '\x1e';

/** Whether the runner of a job is still there; a process id may be another one's by now. Arguments: its folder, its id. */
const jobAlive = `job_alive() {
  job_pid=; { read -r job_pid < "$1/pid"; } 2>/dev/null
  [ -n "$job_pid" ] && grep -q "$2" "/proc/$job_pid/cmdline" 2>/dev/null
}
`;

/**
 * Prints the jobs that a host still keeps, one `job ID STATE` line each: STATE is `done`, `running` or `cut` (neither a
 * result nor a process: the host went down). One that another run collects meanwhile is left out. A folder without `meta` is being written now, or was when the launch was
 * killed: that shows after an hour. Reads only.
 */
export const jobsProbe = `bf_b jobs
${jobPaths}${jobAlive}
for job_d in "$job_base"/jobs/*/; do
  [ -d "$job_d" ] || continue
  [ -f "$job_d/meta" ] || [ -n "$(find "$job_d" -maxdepth 0 -mmin +60)" ] || continue
  job_id=\${job_d%/}; job_id=\${job_id##*/}
  if [ -f "$job_d/result" ]; then job_state=done
  elif job_alive "$job_d" "$job_id"; then job_state=running
  elif [ -f "$job_d/result" ]; then job_state=done
  elif [ ! -d "$job_d" ]; then continue
  else job_state=cut; fi
  printf 'job %s %s\\n' "$job_id" "$job_state"
done 2>/dev/null
bf_e jobs 0
`;

/**
 * The runner that stays on the host: one process, its own session, that holds the lock, runs the steps in the order of
 * `plan` and writes `result` last, by rename. `plan` has a line a step: `INDEX DEADLINE USER GUARD`. Others see the job
 * by its `meta`, which has that name only when the process is there; `spare` is room on the disk for the result.
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
printf '%s\\n' "$$" > "$job/pid.new" && mv -f "$job/pid.new" "$job/pid" && mv -f "$job/meta.new" "$job/meta" || exit 1
say() { printf '\\n\\036%s %s\\n' "$mark" "$*"; }
finish() {
  rm -f "$job/spare"
  if printf '%s\\n%s' "$1" "$ended" > "$job/result.new"; then
    sync "$job/result.new" 2>/dev/null
    mv -f "$job/result.new" "$job/result"
  fi
  say "done $1"
  exit 0
}
ended=
# A lock file that was removed meanwhile guards nothing: take the one that has the name now. Who only asks whether the
# lock is free holds it for a moment.
while :; do
  mkdir -p -m 0700 "$lock" 2>/dev/null
  command exec 9>>"$lock/lock" || { [ -d "$lock" ] && exit 1; continue; }
  flock -w 2 9 || finish busy
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
  ended="$ended$index $rc
"
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
${jobPaths}${jobAlive}
job=$job_base/jobs/${job.id}
job_fail() { rm -rf "$job"; printf '%s\\n' "$1"; bf_e launch 1; exit 0; }
job_full() { job_fail "can not write to $job: is the disk full?"; }
job_go() { printf 'started\\n'; bf_e launch 0; job_follow; exit 0; }
job_follow() {
${followLines}}
if [ -f "$job/result" ] || job_alive "$job" ${job.id}; then job_go; fi
for job_t in flock setsid timeout stat sha256sum base64; do
  command -v "$job_t" >/dev/null || job_fail "there is no $job_t on the host (util-linux and coreutils have them)"
done
if [ -e "$job_lock/lock" ] && ! flock -n "$job_lock/lock" true; then printf 'busy\\n'; bf_e launch 0; exit 0; fi
rm -rf "$job"
# Another run that ends just now removes folders that are empty.
job_make() {
  for job_d in "$job_base" "$job_base/jobs" "$job_lock"; do
    mkdir -p -m 0700 "$job_d" 2>/dev/null
    job_u=$(stat -c %u "$job_d" 2>/dev/null) || return 1
    if [ -L "$job_d" ] || [ "$job_u" != "$bf_uid" ]; then job_fail "$job_d is not ours"; fi
  done
  mkdir "$job" && mkdir "$job/steps" "$job/payload"
}
job_i=0
until job_make 2>/dev/null; do
  job_i=$((job_i + 1)); [ "$job_i" -lt 10 ] || job_fail "can not make $job"
  sleep 0.1
done
`);
  const sums: string[] = [];
  for (const payload of distinct(job.steps.flatMap((s) => s.payloads))) {
    sums.push(`${payload.sha256}  ${payload.sha256}`);
    chunks.push(
      `base64 -d > "$job/payload/${payload.sha256}" <<'BF_END' || job_full\n`,
      base64(payload),
      'BF_END\n',
    );
  }
  if (sums.length > 0)
    chunks.push(`( cd "$job/payload" && sha256sum -c --status - ) <<'BF_END' || job_fail 'an upload arrived damaged'
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
  chunks.push(`job_user=-; [ "$bf_uid" = 0 ] && [ "\${SUDO_USER-root}" != root ] && job_user=$SUDO_USER
${files.join('')}printf '%s\\n' ${plan.join(' ')} > "$job/plan" || job_full
${writeFile('run.sh', runner)}${writeFile('meta.new', job.meta)}head -c ${SPARE} /dev/zero > "$job/spare" || job_full
: > "$job/steps.done" && : > "$job/log" || job_full
setsid sh "$job/run.sh" "$job" ${job.mark} "$job_lock" </dev/null >/dev/null 2>&1 &
job_pid=$!
job_go
`);
  return chunks;
}

/**
 * Follows a job that runs or has ended: frame `meta` is what its run wrote of it, frame `log` streams its log from byte
 * `offset` on until the job ends, frame `result` is its result.
 */
export function followScript(id: string, offset = 0): string {
  return `${jobPaths}${jobAlive}job=$job_base/jobs/${id} job_from=${offset + 1}
bf_b meta; head -c 262144 "$job/meta"; bf_e meta $?
job_alive "$job" ${id} || job_pid=
${followLines}`;
}

/** Only waits, for a log too long to follow: frame `result`. */
export function waitScript(id: string): string {
  return `${jobPaths}${jobAlive}job=$job_base/jobs/${id}
while [ ! -f "$job/result" ] && job_alive "$job" ${id}; do sleep 1; done
${printResult}
`;
}

/** Removes jobs whose result has been seen, or that were cut, and the folders when nothing else is kept there. */
export function forgetScript(ids: readonly string[]): string {
  return `${jobPaths}${jobAlive}for job_id in ${ids.join(' ')}; do
  job=$job_base/jobs/$job_id
  if [ -f "$job/result" ] || ! job_alive "$job" "$job_id"; then rm -rf "$job"; fi
done
rmdir "$job_base/jobs" 2>/dev/null && rmdir "$job_base" 2>/dev/null
if [ -e "$job_lock/lock" ]; then flock -n "$job_lock/lock" rm -f "$job_lock/lock"; rmdir "$job_lock" 2>/dev/null; fi
`;
}

// A job that was cut left no result, but the steps that it had done; one that was collected by another run left nothing.
const printResult = `bf_b result
cat "$job/result" 2>/dev/null || if [ -d "$job" ]; then echo cut; cat "$job/steps.done" 2>/dev/null; else echo gone; fi
bf_e result 0`;

// With the process in `job_pid`, if there is one, and from byte `job_from` on.
const followLines = `bf_b log
if [ -n "$job_pid" ]; then tail -c +"\${job_from-1}" -f -s 0.2 --pid="$job_pid" "$job/log" 2>/dev/null
else tail -c +"\${job_from-1}" "$job/log" 2>/dev/null; fi
bf_e log 0
${printResult}
`;

function writeFile(name: string, text: string): string {
  return `printf '%s\\n' ${shellQuote(text)} > "$job/${name}" || job_full\n`;
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
