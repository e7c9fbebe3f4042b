import { z } from 'zod';
import type { BenchMachine } from '../events/bench.ts';
import { FleetError } from '../lib/errors.ts';
import { shellQuote } from '../lib/shell.ts';
import { printable } from '../lib/terminal.ts';
import { diskCheck } from './disk-check.ts';
import { type BenchRequest, RAMDISK } from './request.ts';

/** What a host says before anything is changed there. */
export interface Survey {
  machine: BenchMachine;
  /** programs of `tools` that are there */
  tools: ReadonlySet<string>;
  /** version of the loaded vhost_blk, '' for one without; null where none is loaded */
  vhostBlk: string | null;
  /** /dev/vhost-blk is there */
  vhostBlkDevice: boolean;
  /** folder of vhost-blk-bench's source; null where there is none */
  benchSource: string | null;
  kvm: boolean;
  /** vmlinuz of the running kernel is in /boot */
  kernelImage: boolean;
  /** null for a RAM disk that is yet to be made */
  disk: { device: string; bytes: number; reasons: readonly string[] } | null;
  availableKiB: number;
}

/** Programs that the ways need, and the Debian packages that hold them. */
export const tools: Readonly<Record<string, string>> = {
  fio: 'fio',
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-storage-daemon': 'qemu-system-common, or qemu-utils in newer releases',
  'vhost-user-bridge': 'playbooks/site.yaml installs it',
  make: 'make',
  cc: 'gcc',
  cpio: 'cpio',
  gzip: 'gzip',
  timeout: 'coreutils',
  flock: 'util-linux',
};

/** The script that asks; it only reads. Frame `survey` has `key value` lines. */
export function surveyScript(request: BenchRequest): string {
  const disk =
    request.disk === RAMDISK
      ? ''
      : `if disk_find ${shellQuote(request.disk)}; then
  echo "disk $disk"
  read -r bench_v < "/sys/class/block/$disk_name/size" && echo "sectors $bench_v"
  disk_reasons | while IFS= read -r bench_v; do echo "reason $bench_v"; done
else echo "disk -"; fi
`;
  return `${diskCheck}
bf_b survey
echo "kernel $(uname -r)"
echo "cpus $(nproc)"
read -r bench_v bench_r < /proc/loadavg && echo "load $bench_v"
while read -r bench_k bench_v bench_r; do
  case $bench_k in MemTotal:) echo "memory $bench_v";; MemAvailable:) echo "available $bench_v";; esac
done < /proc/meminfo
while IFS=: read -r bench_k bench_v; do
  case $bench_k in "model name"*) echo "cpu\${bench_v}"; break;; esac
done < /proc/cpuinfo
for bench_k in ${Object.keys(tools).join(' ')}; do
  command -v "$bench_k" >/dev/null 2>&1 && echo "tool $bench_k"
done
bench_v=
if [ -d /sys/module/vhost_blk ]; then
  read -r bench_v < /sys/module/vhost_blk/version
  echo "vhost_blk $bench_v"
fi 2>/dev/null
# Of the loaded module where it is there.
for bench_k in "/usr/src/vhost-blk-$bench_v" /usr/src/vhost-blk-*; do
  [ -f "$bench_k/bench/Makefile" ] && { echo "source $bench_k/bench"; break; }
done
[ -c /dev/vhost-blk ] && echo device
[ -c /dev/kvm ] && echo kvm
[ -r "/boot/vmlinuz-$(uname -r)" ] && echo image
${disk}bf_e survey 0
`;
}

const count = (max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number)
    .pipe(z.number().max(max));
const text = z.string().max(256);
const answer = z.object({
  kernel: text,
  cpus: count(1 << 16).pipe(z.number().min(1)),
  load: z
    .string()
    .regex(/^\d{1,6}(\.\d{1,4})?$/)
    .transform(Number),
  memory: count(2 ** 45),
  available: count(2 ** 45).default(0),
  cpu: text.default('unknown'),
  tool: z.array(z.string().max(64)).max(64).default([]),
  vhost_blk: z.string().max(64).optional(),
  source: z
    .string()
    .regex(/^\/usr\/src\/vhost-blk-[0-9A-Za-z._+~-]{1,64}\/bench$/)
    .optional(),
  device: z.string().optional(),
  kvm: z.string().optional(),
  image: z.string().optional(),
  disk: text.optional(),
  sectors: count(2 ** 44).optional(),
  reason: z.array(text).max(32).default([]),
});

/** @param body of frame `survey`, untrusted. @throws FleetError E_PROBE when it makes no sense */
export function parseSurvey(body: Buffer): Survey {
  const fields: Record<string, string | string[]> = {};
  for (const line of body
    .subarray(0, 64 * 1024)
    .toString('utf8')
    .split('\n')) {
    if (line === '') continue;
    const [, key = '', value = ''] = /^([a-z_]{1,16})(?: (.*))?$/.exec(line) ?? [];
    if (key === 'tool' || key === 'reason')
      fields[key] = [...((fields[key] as string[]) ?? []), value.trim().slice(0, 256)];
    else fields[key] = value.trim().slice(0, 256);
  }
  const parsed = answer.safeParse(fields);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const what = `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`;
    throw new FleetError({ code: 'E_PROBE', message: `the survey makes no sense: ${printable(what)}` });
  }
  const a = parsed.data;
  return {
    machine: { kernel: a.kernel, cpu: a.cpu, cpus: a.cpus, memoryKiB: a.memory, load: a.load },
    tools: new Set(a.tool),
    vhostBlk: a.vhost_blk ?? null,
    vhostBlkDevice: a.device !== undefined,
    benchSource: a.source ?? null,
    kvm: a.kvm !== undefined,
    kernelImage: a.image !== undefined,
    disk: a.disk === undefined ? null : diskOf(a.disk, a.sectors, a.reason),
    availableKiB: a.available,
  };
}

function diskOf(device: string, sectors: number | undefined, reasons: readonly string[]) {
  if (device === '-') return { device: '', bytes: 0, reasons: ['there is no such block device'] };
  if (sectors === undefined) return { device, bytes: 0, reasons: [...reasons, 'its size is unknown'] };
  return { device, bytes: sectors * 512, reasons };
}

/** Why a host can not be measured at all; the first reason counts. @throws FleetError E_BLOCKED */
export function requireMeasurable(request: BenchRequest, survey: Survey): void {
  const { disk } = survey;
  if (disk && disk.reasons.length > 0)
    throw blocked(
      `${request.disk} is left alone: ${disk.reasons.map(printable).join('; ')}`,
      'bench writes at random over the whole disk: name one that is empty and free, or --disk ramdisk',
    );
  const missing = ['fio', 'timeout', 'flock'].filter((tool) => !survey.tools.has(tool));
  if (missing.length > 0)
    throw blocked(
      `${missing.join(', ')} is not installed there`,
      `apt-get install ${missing.map((tool) => tools[tool]).join(' ')}, or a task of kind package`,
    );
}

function blocked(message: string, hint: string): FleetError {
  return new FleetError({ code: 'E_BLOCKED', message, hint });
}
