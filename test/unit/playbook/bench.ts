import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadInventory } from '../../../src/inventory/load.ts';
import { FleetError } from '../../../src/lib/errors.ts';
import { type BindOptions, bindPlaybook } from '../../../src/playbook/bind.ts';
import type { BoundPlay, Declaration } from '../../../src/playbook/declaration.ts';
import { loadPlaybook } from '../../../src/playbook/load.ts';

/** A folder for the files of one test. */
export class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), 'blkfleet-playbook-'));

  write(name: string, text: string | Buffer): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  /** Loads and binds; the inventory defaults to hv01, hv02 and hv03 in `hypervisors`. */
  async bind(playbook: string, options: BindOptions & { inventory?: string } = {}): Promise<BoundPlay[]> {
    const inventory = options.inventory ?? 'all: { children: { hypervisors: { hosts: { "hv[01:03]": } } } }';
    return bindPlaybook(
      await loadPlaybook(this.write('playbook.yaml', playbook)),
      await loadInventory(this.write('inventory.yaml', inventory)),
      options,
    );
  }

  /** What hv01 gets in the first play. */
  async first(
    playbook: string,
    options: BindOptions & { inventory?: string } = {},
  ): Promise<readonly Declaration[]> {
    return (await this.bind(playbook, options))[0]!.declarations('hv01');
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Code, line and column of every finding of a promise that must fail. */
export async function findingsOf(work: Promise<unknown>): Promise<(string | undefined)[]> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
    return error.diagnostics.map(({ code, at, host }) =>
      [code, at && `${at.line}:${at.col}`, host].filter(Boolean).join(' '),
    );
  }
  return [];
}
