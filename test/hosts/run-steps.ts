import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { HostFacts } from '../../src/facts/facts.ts';
import { factsScript, parseFacts } from '../../src/facts/probe.ts';
import { shellQuote } from '../../src/lib/shell.ts';
import type { Asset, AssetFile, Input, ResourceKind, ResourcePlan, Step } from '../../src/resources/kind.ts';

export interface Outcome {
  rc: number;
  stdout: Buffer;
  /** stderr alone */
  complaints: string;
  /** both streams, as they came */
  text: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  /** seconds until everything is killed; default 600 */
  deadline?: number;
  /** asked often: everything is killed as soon as it is true */
  killWhen?: () => boolean;
}

/** Where steps can run: what a kind's test needs of a host. */
export interface StepHost {
  run(script: string, options?: RunOptions): Promise<Outcome>;
  /** facts as the engine reads them, with the running kernel set to `release` where it is given */
  facts(release?: string): Promise<HostFacts>;
  /** makes a payload there, as the engine does before a job */
  put(sha256: string, bytes: Buffer): Promise<void>;
}

/** A root file system with a writable layer of its own; each command has its own mounts and processes, so none is left. */
export interface ChrootHost extends StepHost {
  /** the writable layer as this machine sees it: for putting files in, between commands */
  upper: string;
  remove(): void;
}

/**
 * @param lower a Debian root, never written to
 * @param mounts more lines of sh that mount something, run in the host's mount namespace; $root is its root
 */
export function chrootHost(lower: string, mounts = ''): ChrootHost {
  const base = mkdtempSync(join(process.env.BLKFLEET_TEST_DIR ?? tmpdir(), 'blkfleet-root-'));
  for (const name of ['upper', 'work', 'root', 'payload']) mkdirSync(join(base, name));
  const run: ChrootHost['run'] = (script, options = {}) => {
    const { env = {} } = options;
    const file = join(base, 'script');
    writeFileSync(file, script);
    const exports = Object.entries(env).map(([key, value]) => `${key}=${shellQuote(value)}`);
    const outer = `set -eu
base=${shellQuote(base)} root=${shellQuote(join(base, 'root'))}
mount -t overlay overlay -o "lowerdir=${lower},upperdir=$base/upper,workdir=$base/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mkdir -p "$root/run/bf" "$root/run/lock" && mount --bind "$base/payload" "$root/run/bf"
cp "$base/script" "$root/run/script"
${mounts}
exec chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C ${exports.join(' ')} \\
  sh -c 'cd /; umask 077; exec sh $0 /run/script' ${env.BF_PAYLOAD ? '-eu' : '+e'}
`;
    return collect('unshare', ['-m', '-p', '-f', '--kill-child', 'sh', '-c', outer], options);
  };
  return {
    run,
    upper: join(base, 'upper'),
    put: async (sha256, bytes) => writeFileSync(join(base, 'payload', sha256), bytes),
    facts: async (release) => {
      const facts = parseFacts((await run(factsScript)).stdout);
      return release === undefined ? facts : { ...facts, kernel: { ...facts.kernel, release } };
    },
    remove: () => rmSync(base, { recursive: true, force: true }),
  };
}

function collect(
  command: string,
  args: readonly string[],
  { deadline = 600, killWhen }: RunOptions,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const all: Buffer[] = [];
    let complaints = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), deadline * 1000);
    const watch = setInterval(() => killWhen?.() && child.kill('SIGKILL'), 10);
    child.stdout.on('data', (chunk: Buffer) => {
      out.push(chunk);
      all.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      complaints += chunk.toString('utf8');
      all.push(chunk);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      clearInterval(watch);
      resolve({
        rc: code ?? 255,
        stdout: Buffer.concat(out),
        complaints,
        text: Buffer.concat(all).toString('utf8'),
      });
    });
  });
}

/** Stands in for the prelude where one declaration is probed: its answer is all that is printed. */
export const plainFrames = `bf_b() { :; }
bf_e() { :; }
bf_f() { printf %s "$2"; }
bf_flush() { :; }
bf_n='
'
`;

/** Probes one declaration and plans it. */
export async function planOn(
  host: StepHost,
  kind: ResourceKind,
  input: Input<unknown>,
  facts: HostFacts,
): Promise<{ plan: ResourcePlan; steps: readonly Step[] }> {
  const answer = await host.run(`${plainFrames}${kind.probe([input])}`);
  if (answer.rc !== 0) throw new Error(`the probe ended with ${answer.rc}: ${answer.text}`);
  if (answer.complaints !== '') throw new Error(`the probe complains: ${answer.complaints}`);
  const current = kind.parse(answer.stdout, input);
  const plan = kind.plan(input, current, { facts });
  return { plan, steps: plan.status === 'change' ? kind.steps(input, current, { facts }) : [] };
}

/** Runs steps as the job does: guard, then script, each its own `sh -eu`; stops at the first that fails. */
export async function runSteps(host: StepHost, steps: readonly Step[]): Promise<Outcome & { failed?: Step }> {
  let text = '';
  for (const step of steps) {
    for (const { sha256, bytes } of step.payloads ?? []) await host.put(sha256, bytes);
    const env = { BF_PAYLOAD: '/run/bf', BF_TMP: '/run/tmp' };
    for (const script of [step.guard ?? '', step.script]) {
      const outcome = await host.run(`rm -rf /run/tmp; mkdir /run/tmp\n${script}`, {
        env,
        deadline: step.deadline ?? 300,
      });
      text += `== ${step.title}\n${outcome.text}`;
      if (outcome.rc !== 0) return { ...outcome, text, failed: step };
    }
  }
  return { rc: 0, stdout: Buffer.alloc(0), complaints: '', text };
}

/** A folder as the loader hands it to a kind; `edit` changes files by path, `undefined` leaves one out. */
export function folderAsset(folder: string, edit: Record<string, (text: string) => string> = {}): Asset {
  const files = readdirSync(folder, { recursive: true })
    .map((name) => relative(folder, join(folder, String(name))))
    .filter((path) => statSync(join(folder, path)).isFile())
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map((path): AssetFile => {
      const raw = readFileSync(join(folder, path));
      const bytes = edit[path] ? Buffer.from(edit[path](raw.toString('utf8'))) : raw;
      return { path, mode: statSync(join(folder, path)).mode & 0o777, bytes, sha256: sha256(bytes) };
    });
  return { files, sha256: sha256(files.map((file) => `${file.sha256}  ${file.path}\n`).join('')) };
}

export function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
