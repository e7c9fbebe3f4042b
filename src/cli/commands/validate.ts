import { formatDiagnostics } from '../../config/diagnostics.ts';
import type { Inventory } from '../../inventory/inventory.ts';
import { loadInventory } from '../../inventory/load.ts';
import { type Diagnostic, FleetError } from '../../lib/errors.ts';
import { tryBind } from '../../playbook/bind.ts';
import { Findings } from '../../playbook/findings.ts';
import { readPlaybook } from '../../playbook/load.ts';
import { wantsColour } from '../../ui/paint.ts';
import { EXIT } from '../exit-code.ts';

/** `blkfleet validate PLAYBOOK… [-i INVENTORY]`: returns an exit code. @throws FleetError with every finding */
export async function validateCommand(
  playbooks: readonly string[],
  options: { inventory?: string | undefined },
): Promise<number> {
  const findings: Diagnostic[] = [];
  const inventory =
    options.inventory === undefined
      ? undefined
      : await collect(findings, () => loadInventory(options.inventory!));
  const warnings: Diagnostic[] = [...(inventory?.warnings ?? [])];
  const lines: string[] = [];
  if (inventory !== undefined) lines.push(describeInventory(inventory));
  for (const path of new Set(playbooks)) {
    const before = findings.length;
    const read = await collect(findings, () => readPlaybook(path));
    if (read === undefined) continue;
    const bound = inventory === undefined ? undefined : tryBind(read.playbook, inventory);
    const all = new Findings();
    for (const finding of [...read.findings, ...(bound?.findings ?? [])]) all.add(finding);
    findings.push(...all.list());
    warnings.push(...read.playbook.warnings.list());
    if (findings.length > before) continue;
    const { plays } = read.playbook;
    const tasks = plays.reduce((sum, play) => sum + play.tasks.length, 0);
    const hosts = bound && new Set(bound.plays.flatMap((play) => play.hosts)).size;
    const on = hosts === undefined ? '' : ` for ${count(hosts, 'host')}`;
    lines.push(`${path}: ok, ${count(plays.length, 'play')} with ${count(tasks, 'task')}${on}`);
  }
  warn(warnings);
  if (findings.length > 0) throw new FleetError(findings);
  process.stdout.write(`${lines.join('\n')}\n`);
  if (inventory === undefined)
    process.stderr.write('variables and hosts of an inventory are checked too with -i\n');
  return EXIT.ok;
}

/** Tells warnings on stderr, each with its place. */
export function warn(warnings: readonly Diagnostic[]): void {
  if (warnings.length === 0) return;
  process.stderr.write(
    `${formatDiagnostics(warnings, { color: wantsColour(process.stderr), level: 'warning' })}\n`,
  );
}

async function collect<T>(findings: Diagnostic[], work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof FleetError) || error.code === 'E_BUG') throw error;
    findings.push(...error.diagnostics);
    return undefined;
  }
}

function describeInventory({ path, hosts, groups }: Inventory): string {
  const named = [...groups.keys()].filter((name) => name !== 'all' && name !== 'ungrouped').length;
  return `${path}: ok, ${count(hosts.size, 'host')} in ${count(named, 'group')}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
