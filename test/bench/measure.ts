import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cli } from '../hosts/harness/cli.ts';
import type { Fleet } from '../hosts/harness/fleet.ts';

/** What one pass over all hosts took. CPU in seconds, over all hosts together. */
export interface Pass {
  wallSeconds: number;
  workstationCpu: number;
  hostCpu: number;
}

/** A pass of blkfleet says more. */
export interface RunPass extends Pass {
  /** of the host that needed most */
  roundTrips: number;
  /** the highest resident size of the process, VmHWM, in MB (10^6 bytes) */
  peakMb: number;
}

export const PARALLEL = 32;

/**
 * The floor: OpenSSH's client runs `true` on each host, 32 at a time, with the same key exchange and key.
 * CPU of the clients is what the shell that starts them has waited for.
 */
export async function sshPass(fleet: Fleet): Promise<Pass> {
  const options = [
    ...['-F', '/dev/null', '-o', 'BatchMode=yes', '-o', 'KexAlgorithms=curve25519-sha256'],
    ...['-o', `UserKnownHostsFile=${fleet.knownHostsFile}`, '-o', 'IdentitiesOnly=yes', '-i', fleet.keyFile],
  ];
  const addresses = fleet.hosts.map((host) => `deploy@${host.address}`);
  const script = `xargs -P ${PARALLEL} -I HOST ssh ${options.join(' ')} HOST true && times`;
  const { wallSeconds, hostCpu, stdout } = await measured(fleet, ['sh', '-c', script], addresses.join('\n'));
  // The second line of `times` is user and system time of children.
  const [user = '', system = ''] = stdout.trim().split('\n')[1]?.split(' ') ?? [];
  return { wallSeconds, hostCpu, workstationCpu: seconds(user) + seconds(system) };
}

/** A run of the built CLI; throws when a host is not in sync. */
export async function blkfleetPass(fleet: Fleet, args: readonly string[]): Promise<RunPass> {
  const file = join(fleet.folder, 'statistics');
  writeFileSync(file, '');
  const before = hostCpu(fleet);
  const start = performance.now();
  const output = await cli(fleet, args, { env: { BLKFLEET_STATS: file } });
  const wallSeconds = (performance.now() - start) / 1000;
  const after = await settledCpu(fleet);
  if (output.status !== 0) throw new Error(`blkfleet ended with ${output.status}:\n${output.stderr}`);
  const statistics = JSON.parse(readFileSync(file, 'utf8'));
  return {
    wallSeconds,
    hostCpu: after - before,
    workstationCpu: statistics.cpuSeconds,
    roundTrips: statistics.roundTrips.max,
    peakMb: (statistics.peakRssKiB * 1024) / 1e6,
  };
}

async function measured(fleet: Fleet, argv: readonly string[], input: string) {
  const [command, args] = fleet.inNetwork(argv);
  const before = hostCpu(fleet);
  const start = performance.now();
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stdin.end(input);
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const wallSeconds = (performance.now() - start) / 1000;
  if (status !== 0) throw new Error(`${argv[0]} ended with ${status}`);
  return { wallSeconds, hostCpu: (await settledCpu(fleet)) - before, stdout };
}

/** Time of all that ran in a host, its sshd among them; sessions count once they have ended. */
function hostCpu(fleet: Fleet): number {
  return fleet.hosts.reduce((sum, host) => sum + host.cpuSeconds(), 0);
}

/** The same when no session is left. */
async function settledCpu(fleet: Fleet): Promise<number> {
  const busy = () =>
    fleet.hosts.some(({ pid }) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim() !== '');
  for (let wait = 0; busy() && wait < 100; wait++) await new Promise((resolve) => setTimeout(resolve, 50));
  return hostCpu(fleet);
}

/** `1m2.34s` as the shell's times prints it. */
function seconds(text: string): number {
  const [, minutes = '0', rest = '0'] = /^(\d+)m([\d.]+)s$/.exec(text) ?? [];
  return Number(minutes) * 60 + Number(rest);
}
