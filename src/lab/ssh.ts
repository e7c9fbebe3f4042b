import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { labUser } from './image.ts';
import type { LabFiles, LabRecord } from './state.ts';

/** The command line that logs in to a lab: its own key and known hosts, nothing of the user's configuration. */
export function sshArgv(files: LabFiles, record: LabRecord, command: readonly string[] = []): string[] {
  return [
    'ssh',
    ...['-F', '/dev/null', '-i', files.key, '-p', String(record.port)],
    ...['-o', 'IdentitiesOnly=yes', '-o', 'StrictHostKeyChecking=yes', '-o', 'ForwardAgent=no'],
    ...['-o', `UserKnownHostsFile="${files.knownHosts}"`, '-o', 'GlobalKnownHostsFile=/dev/null'],
    ...['-o', 'ConnectTimeout=20', '-o', 'ServerAliveInterval=15', '-o', 'LogLevel=ERROR'],
    `${labUser}@127.0.0.1`,
    ...command,
  ];
}

/**
 * Runs a command in the lab.
 * @param ms until the client is ended
 * @returns its exit status (255: no connection) and what it printed
 */
export async function sshRun(
  files: LabFiles,
  record: LabRecord,
  command: string,
  ms: number,
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const [program, ...args] = sshArgv(files, record, ['--', command]) as [string, ...string[]];
  const child = spawn(program, ['-o', 'BatchMode=yes', '-T', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: ms,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
}

/** Gives the terminal to a shell, or a command, in the lab. @returns its exit status */
export async function sshInteractive(
  files: LabFiles,
  record: LabRecord,
  command: readonly string[],
): Promise<number> {
  const [program, ...args] = sshArgv(files, record, command.length > 0 ? ['--', ...command] : []) as [
    string,
    ...string[],
  ];
  const child = spawn(program, args, { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status ?? 255));
  });
}

/**
 * True when an SSH server greets on the port: QEMU accepts connections before the guest has booted, and drops them.
 * @param ms to wait for the greeting
 */
export function greets(port: number, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const end = (answer: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(false), ms);
    socket.once('data', (chunk) => end(chunk.toString('latin1').startsWith('SSH-2.0-')));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
  });
}
