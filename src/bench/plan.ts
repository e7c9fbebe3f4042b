import type { BenchWay } from '../events/bench.ts';
import { FleetError } from '../lib/errors.ts';
import type { BenchPlan } from './host-script.ts';
import { type BenchRequest, RAMDISK, vcpuCounts } from './request.ts';
import { type Survey, tools } from './survey.ts';

export const ways: readonly BenchWay[] = ['host', 'virtio-blk', 'vhost-user-blk', 'vhost-blk'];

const RAMDISK_MIB = { most: 256, least: 64 };
/** Queues that vhost-blk-bench drives. */
const CLIENT_QUEUES = 8;

/** What to do on a host, and why a way is left out. */
export interface PlannedBench {
  plan: BenchPlan;
  skipped: ReadonlyMap<BenchWay, string>;
  warnings: string[];
}

/** @throws FleetError E_BLOCKED where no RAM disk fits into the host's memory */
export function planBench(request: BenchRequest, survey: Survey): PlannedBench {
  const warnings: string[] = [];
  const vcpus = vcpuCounts(request, survey.machine.cpus);
  const lacks = (...programs: string[]) => programs.filter((program) => !survey.tools.has(program));
  const noGuest = guestLacks(request, survey, lacks);
  const guest = noGuest === null ? request.guest : 'no';
  const skipped = new Map<BenchWay, string>();
  if (noGuest !== null) skipped.set('virtio-blk', `needs a guest, and ${noGuest}`);
  if (lacks('qemu-storage-daemon').length > 0) skipped.set('vhost-user-blk', missing('qemu-storage-daemon'));
  if (survey.vhostBlk === null || !survey.vhostBlkDevice)
    skipped.set(
      'vhost-blk',
      'the module vhost_blk is not loaded there: playbooks/site.yaml builds and loads it',
    );
  const toBuild = lacks('make', 'cc');
  const noClient =
    survey.benchSource === null
      ? "vhost-blk-bench's source is not there: playbooks/site.yaml brings it to /usr/src with the vhost-blk DKMS package"
      : toBuild.length > 0
        ? toBuild.map(missing).join('; ')
        : null;
  if (guest === 'no' && noClient !== null)
    for (const way of ['vhost-user-blk', 'vhost-blk'] as const)
      if (!skipped.has(way)) skipped.set(way, `needs vhost-blk-bench: ${noClient}`);
  if (guest === 'no' && vcpus.some((count) => count > CLIENT_QUEUES))
    for (const way of ['vhost-user-blk', 'vhost-blk'] as const)
      if (!skipped.has(way)) skipped.set(way, `vhost-blk-bench drives up to ${CLIENT_QUEUES} queues`);
  if (guest !== 'no' && !skipped.has('vhost-blk') && lacks('vhost-user-bridge').length > 0)
    skipped.set('vhost-blk', `${missing('vhost-user-bridge')}; --guest no measures it without a guest`);
  if (survey.machine.load > 0.5)
    warnings.push(
      `the host was at work when this began (load ${survey.machine.load}): its own work is in every number`,
    );
  return {
    skipped,
    warnings,
    plan: {
      disk: request.disk === RAMDISK ? RAMDISK : survey.disk!.device,
      ramdiskMiB: request.disk === RAMDISK ? ramdiskMiB(survey) : 0,
      rw: request.rw,
      ways: ways.filter((way) => !skipped.has(way)),
      vcpus,
      iodepth: request.iodepth,
      runtimeSeconds: request.runtimeSeconds,
      rounds: request.rounds,
      guest,
      noGuest: noGuest ?? '',
      client: noClient === null ? { source: survey.benchSource! } : { lacks: noClient },
    },
  };
}

function guestLacks(
  request: BenchRequest,
  survey: Survey,
  lacks: (...programs: string[]) => string[],
): string | null {
  if (request.guest === 'no') return 'none was asked for';
  if (request.guest === 'auto' && !survey.kvm) return 'this host has no usable KVM: there is no /dev/kvm';
  // QEMU emulates a CPU with SVM: KVM works on it, at a hundredth of its speed.
  if (request.guest === 'auto' && survey.machine.cpu.startsWith('QEMU TCG CPU'))
    return 'this host has no usable KVM: its CPU is emulated';
  const programs = lacks('qemu-system-x86_64', 'cpio');
  if (programs.length > 0) return programs.map(missing).join('; ');
  if (!survey.kernelImage) return `there is no /boot/vmlinuz-${survey.machine.kernel}`;
  return null;
}

function missing(program: string): string {
  return `${program} is not installed there (${tools[program]})`;
}

function ramdiskMiB(survey: Survey): number {
  const fits = Math.floor(survey.availableKiB / 1024 / 4);
  if (fits < RAMDISK_MIB.least)
    throw new FleetError({
      code: 'E_BLOCKED',
      message: `a RAM disk of ${RAMDISK_MIB.least} MiB would take more than a quarter of the memory that is free there`,
      hint: 'name an empty --disk',
    });
  return Math.min(RAMDISK_MIB.most, fits);
}
