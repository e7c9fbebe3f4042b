import { execFileSync } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type CpioEntry, cpioArchive } from './cpio.ts';
import type { ModuleFile } from './image.ts';
import { type Ended, runLogged } from './process.ts';
import { askGuest, monitorArguments, stallParameters, waitForStall } from './stall.ts';

/** A kernel and its modules. */
export interface BootableKernel {
  release: string;
  /** Path of what QEMU boots. */
  vmlinuz: string;
  /** The named modules that are not built in and all they depend on, in an order in which insmod loads them. */
  resolveModules(names: readonly string[]): ModuleFile[];
}

/** What to boot, and what to do in it. */
export interface BootRequest {
  kernel: BootableKernel;
  /** Modules of that kernel, by name, loaded with what they depend on before the script starts. */
  modules?: readonly string[];
  /** Parameters of such a module: name → what insmod gets ("nr_devices=0"). */
  moduleParameters?: Readonly<Record<string, string>>;
  /** Further files: path in the guest → content and mode. */
  files?: readonly { path: string; data: Uint8Array; mode?: number }[];
  /** A POSIX sh script (busybox), run as root; its output is the result. */
  script: string;
  /** More kernel parameters. */
  append?: readonly string[];
  memoryMb?: number;
  /** Raw files as virtio disks, /dev/vda first; the guest may write them. It needs the modules virtio_pci and virtio_blk. */
  disks?: readonly string[];
  /** The same, behind those, which the guest can not write: others may use them at the same time. */
  readOnlyDisks?: readonly string[];
  cpus?: number;
  /** Further arguments of QEMU. */
  qemuArguments?: readonly string[];
  /**
   * The clock counts instructions, one a nanosecond, on one CPU: what a guest measures then says how many instructions it
   * took, whatever else the machine does. Waiting takes no time of the machine.
   */
  countInstructions?: boolean;
  /** Everything from power on to the end; generous, a busy machine is several times slower. */
  timeoutMs: number;
  /** A guest that writes nothing to its serial ports for so long is asked where it stands, and ended. */
  stallMs?: number;
}

/** What came of it. */
export interface BootResult {
  /** Exit code of the script; null when the guest ended or was stopped before it did. */
  exit: number | null;
  /** Output of the script, both streams. */
  output: string;
  /** Kernel messages as the serial console showed them: there also after a panic. */
  console: string;
  timedOut: boolean;
  /**
   * How QEMU ended, for who reads it: "exit 0" is a guest that ended itself, by the end of its script or a panic; a triple
   * fault and a signal tell of a guest and of a QEMU that had no say in it; "stalled" is a guest that stood still, and "QEMU
   * stalled" one whose kernel did not even answer an NMI.
   */
  ended: string;
  seconds: number;
}

const EXIT_MARK = '@@exit ';

/**
 * Boots a kernel with an initramfs under QEMU (TCG), runs a script in it and ends it. Needs qemu-system-x86 and
 * busybox-static; KVM is not used.
 * @throws Error when QEMU or busybox is missing; a guest that fails is a result
 */
export async function bootKernel(request: BootRequest): Promise<BootResult> {
  const folder = mkdtempSync(join(tmpdir(), 'blkfleet-boot-'));
  const started = Date.now();
  try {
    const initrd = join(folder, 'initrd');
    writeFileSync(initrd, initramfs(request));
    const { ended, stall } = await runGuest(request, folder, initrd);
    const { output, exit } = splitExit(readText(join(folder, 'output')));
    const said = readText(join(folder, 'qemu.log'));
    return {
      exit,
      output,
      console: readText(join(folder, 'console')) + (ended.code === 0 ? '' : said) + (stall?.told ?? ''),
      timedOut: ended.code === null && ended.reason === 'timeout',
      ended: stall?.ended ?? describeEnd(ended, readText(join(folder, 'resets'))),
      seconds: (Date.now() - started) / 1000,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runGuest(
  request: BootRequest,
  folder: string,
  initrd: string,
): Promise<{ ended: Ended; stall: { ended: string; told: string } | undefined }> {
  const ending = new AbortController();
  const over = new AbortController();
  const watching = request.stallMs
    ? waitForStall(folder, request.stallMs, over.signal)
    : Promise.resolve(false);
  const asked = watching.then(async (stalled) => {
    if (!stalled) return undefined;
    const { told, answered } = await askGuest(folder);
    ending.abort();
    return {
      ended: answered ? 'stalled' : 'QEMU stalled',
      told: `\n== the guest wrote nothing for ${request.stallMs! / 1000} s\n${told}\n`,
    };
  });
  const ended = await runLogged(qemuArguments(request, folder, initrd), {
    output: join(folder, 'qemu.log'),
    timeoutMs: request.timeoutMs,
    signal: ending.signal,
  });
  over.abort();
  return { ended, stall: await asked };
}

function qemuArguments(request: BootRequest, folder: string, initrd: string): string[] {
  // no_timer_check: a guest that is starved at boot else panics in its test of the timer. panic=-1 with -no-reboot ends
  // QEMU at once instead of at the time limit.
  const append = [
    'console=ttyS0',
    'panic=-1',
    'no_timer_check',
    'mitigations=off',
    ...stallParameters,
    ...(request.append ?? []),
  ];
  return [
    findProgram('qemu-system-x86_64'),
    ...(request.countInstructions
      ? ['-accel', 'tcg', '-icount', 'shift=0,sleep=off', '-smp', '1']
      : ['-accel', 'tcg,thread=multi', '-smp', String(request.cpus ?? 2)]),
    ...['-cpu', 'max'],
    // A triple fault ends the guest as a reboot does, but is told.
    ...['-d', 'cpu_reset', '-D', join(folder, 'resets')],
    ...['-m', String(request.memoryMb ?? 768), '-nodefaults', '-nographic', '-no-reboot'],
    ...monitorArguments(folder),
    ...['-kernel', request.kernel.vmlinuz, '-initrd', initrd, '-append', append.join(' ')],
    ...(request.disks ?? []).flatMap((path) => ['-drive', `file=${path},format=raw,if=virtio,cache=unsafe`]),
    ...(request.readOnlyDisks ?? []).flatMap((path) => [
      '-drive',
      `file=${path},format=raw,if=virtio,readonly=on`,
    ]),
    ...(request.qemuArguments ?? []),
    ...['-serial', `file:${join(folder, 'console')}`, '-serial', `file:${join(folder, 'output')}`],
  ];
}

/** What is booted with the kernel: it loads the modules, runs the script, and ends the guest. Also for a guest inside a guest. */
export function initramfs(
  request: Pick<BootRequest, 'kernel' | 'modules' | 'moduleParameters' | 'files' | 'script'>,
): Buffer {
  const busybox = readFileSync(findProgram('busybox'));
  if (busybox.includes('/lib64/ld-linux'))
    throw new Error('busybox must be static: apt-get install busybox-static');
  const modules = request.kernel.resolveModules(request.modules ?? []);
  const insmods = modules.map(
    ({ name }) => `insmod /modules/${name}.ko ${request.moduleParameters?.[name] ?? ''} || code=126`,
  );
  const entries: CpioEntry[] = [
    ...['dev', 'proc', 'sys', 'tmp', 'root', 'var/lib'].map((path) => ({ path, folder: true as const })),
    { path: 'bin/busybox', mode: 0o755, data: busybox },
    ...busyboxApplets().map((name) => ({ path: `bin/${name}`, link: 'busybox' })),
    ...modules.map((module) => ({ path: `modules/${module.name}.ko`, mode: 0o644, data: module.data() })),
    ...(request.files ?? []).map((file) => ({ path: file.path, mode: file.mode ?? 0o644, data: file.data })),
    { path: 'script', mode: 0o755, data: Buffer.from(request.script) },
    { path: 'init', mode: 0o755, data: Buffer.from(initScript(insmods)) },
  ];
  return cpioArchive(entries);
}

/** First process of the guest. The script's output goes to the second serial port, where no kernel message gets in. */
function initScript(insmods: readonly string[]): string {
  return `#!/bin/busybox sh
export PATH=/bin:/sbin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
exec </dev/null >/dev/ttyS1 2>&1
stty -F /dev/ttyS1 raw 2>/dev/null
code=0
${insmods.join('\n')}
if [ $code = 0 ]; then
	sh /script
	code=$?
fi
echo "${EXIT_MARK}$code"
sync
# The end of QEMU, by -no-reboot; a kernel without ACPI's parts for it can not power off.
reboot -f
`;
}

let applets: string[] | undefined;

function busyboxApplets(): string[] {
  applets ??= execFileSync(findProgram('busybox'), ['--list'], { encoding: 'utf8' })
    .split('\n')
    .filter(Boolean);
  return applets.filter((name) => name !== 'busybox');
}

function findProgram(name: string): string {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/bin']) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  throw new Error(`${name} is not installed`);
}

function splitExit(text: string): { output: string; exit: number | null } {
  const found = /^@@exit (\d+)\s*$/m.exec(text);
  if (!found) return { output: text, exit: null };
  return { output: text.slice(0, found.index), exit: Number(found[1]) };
}

function describeEnd(ended: Ended, resets: string): string {
  if (ended.code !== null)
    return `exit ${ended.code}${/^Triple fault/m.test(resets) ? ' after a triple fault' : ''}`;
  return ended.reason === 'signal' ? `signal ${ended.signal ?? 'unknown'}` : 'out of time';
}

/** The serial ports speak CR LF. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1').replaceAll('\r', '');
  } catch {
    return '';
  }
}
